//! From pages to one whole list: every list of AWS is read through here. IO through the calls it is given.
//!
//! A list is complete only when its last page came. A page that fails, a token that comes twice, or pages without end
//! make the whole list unknown, never shorter.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use jiff::Timestamp;

use super::error::{Failure, malformed};
use super::operation::Operation;
use crate::baseline::Cause;

/// Ten million rows at 1,000 a page; no account holds as many of anything that Plumbline lists.
const MAX_PAGES: usize = 10_000;

/// Reads all pages: `fetch` answers the page of a token, `take` uses up a page and says the next token. Answers when
/// the last page came.
pub(super) async fn pages<P, F>(
    operation: Operation,
    mut fetch: impl FnMut(Option<String>) -> F,
    mut take: impl FnMut(P) -> Result<Option<String>, Cause>,
) -> Result<Timestamp, Cause>
where
    F: Future<Output = Result<P, Failure>>,
{
    let hasher = RandomState::new();
    let mut seen = HashSet::new();
    let mut token = None;
    for _ in 0..MAX_PAGES {
        let page = fetch(token).await?;
        let at = now();
        let Some(next) = take(page)?.filter(|next| !next.is_empty()) else { return Ok(at) };
        if !seen.insert(hasher.hash_one(&next)) {
            return Err(malformed(operation, "the same page token came twice"));
        }
        token = Some(next);
    }
    Err(malformed(operation, format!("the list did not end within {MAX_PAGES} pages")))
}

/// The marker of an IAM list, which says in a field of its own whether it goes on.
pub(super) fn marker(operation: Operation, is_truncated: bool, marker: Option<&str>) -> Result<Option<String>, Cause> {
    match (is_truncated, marker) {
        (false, _) => Ok(None),
        (true, Some(marker)) if !marker.is_empty() => Ok(Some(marker.to_owned())),
        (true, _) => Err(malformed(operation, "the list goes on, but there is no marker")),
    }
}

/// The moment of an answer, in whole seconds: finer is of no use to anybody who reads it.
pub(super) fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::operation::LIST_USERS;
    use crate::baseline::CauseClass;

    #[tokio::test]
    async fn a_list_without_end_is_given_up() {
        let mut page = 0_u64;
        let result = pages(
            LIST_USERS,
            |_| {
                page += 1;
                std::future::ready(Ok(page))
            },
            |page| Ok(Some(page.to_string())),
        )
        .await;
        assert_eq!(result.unwrap_err().class, CauseClass::Malformed);
        assert_eq!(page, 10_000);
    }

    #[test]
    fn a_list_that_goes_on_without_a_marker_is_malformed() {
        assert_eq!(marker(LIST_USERS, false, Some("x")), Ok(None));
        assert_eq!(marker(LIST_USERS, true, Some("x")), Ok(Some("x".to_owned())));
        assert!(marker(LIST_USERS, true, None).is_err());
        assert!(marker(LIST_USERS, true, Some("")).is_err());
    }
}
