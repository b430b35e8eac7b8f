//! The rig.

pub mod controlplane;
pub mod supervisor;
