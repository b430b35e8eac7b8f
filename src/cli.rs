//! The command line: one file per subcommand. What it prints is what the operator would say.

pub mod audit;
mod console;
mod declared;
mod progress;

pub use console::Console;
