//! `examples/fleet`, `examples/flux` and `examples/argocd`, under what users run them with: Flux's own controller,
//! kubectl, and the interpreter that Argo CD uses.

mod argocd;
mod checkout;
mod examples;
mod flux;
mod no_difference;
