//! The promises of enforcement, tried exhaustively over stateful fakes: P2, P3, P4, P5, P6.

mod crash;
mod drive;
mod promises;
mod scenario;
mod shell;
