//! Integration tests, in one binary so that linking happens once.

mod crds;
mod operator;
mod support;
