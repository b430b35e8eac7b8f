//! P5: every read that only a plan makes times every fault: what was not read is `Unknown`, and says why.

use std::time::Duration;

use super::faults::{FOR_PLANS_OF_USERS, Fault, no_fault_is_an_answer};
use crate::aws::operation::{self, Operation};
use crate::aws::testing::{fast, serve, unknown};
use crate::aws::user::tests::{DENY, plain, user};
use crate::baseline::Cause;
use crate::engine::cloud::Cloud;

/// What a plan learns of the account while one operation fails.
async fn cause_of(operation: Operation, fault: Fault) -> (Cause, usize) {
    let server = serve(fast(), move |request, _| {
        let is_it = operation.name.ends_with(&format!(":{}", request.operation));
        if is_it { fault.answer(operation, plain(request)) } else { plain(request) }
    })
    .await;
    let account = server.account_by(None, Duration::from_secs(30));
    let cause = if [operation::GET_POLICY, operation::GET_POLICY_VERSION].contains(&operation) {
        unknown(account.managed_policy(DENY).await)
    } else if operation == operation::SIMULATE_PRINCIPAL_POLICY {
        unknown(account.simulate(&user("ada").arn, &["iam:EnableMFADevice"], Some(false)).await)
    } else {
        unknown(account.user_facts(&user("ada")).await)
    };
    let attempts = server.operations().iter().filter(|name| operation.name.ends_with(&format!(":{name}"))).count();
    (cause, attempts)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p5_no_read_of_a_plan_that_fails_is_taken_for_an_answer() {
    no_fault_is_an_answer(FOR_PLANS_OF_USERS, cause_of).await;
}
