//! The parts that Plumbline's tests, demo and benchmarks run on: control plane, AWS proxy, seeding.

pub mod aws_proxy;
pub mod aws_rig;
mod background;
pub mod controlplane;
pub mod kube_proxy;
pub mod moto;
pub mod seed;
pub mod supervisor;
