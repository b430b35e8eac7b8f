//! What a command reads from and writes to, so that tests can stand in for the terminal. Asks the terminal, no more.

use std::io::{IsTerminal, Read, Write};

use jiff::Timestamp;

use crate::render::Screen;

/// Standard input and output, and what is known of the terminal behind them.
pub struct Console<'a> {
    /// What `-f -` reads.
    pub stdin: &'a mut dyn Read,
    /// Where data goes.
    pub out: &'a mut dyn Write,
    /// What the output is shown on.
    pub screen: Screen,
    /// Whether standard error is a terminal, so that progress bars make sense.
    pub progress: bool,
    /// The clock.
    pub now: fn() -> Timestamp,
}

impl<'a> Console<'a> {
    /// The process's own.
    pub fn of_process(stdin: &'a mut dyn Read, out: &'a mut dyn Write) -> Self {
        let terminal = std::io::stdout().is_terminal();
        let width = terminal.then(|| comfy_table::Table::new().width()).flatten();
        // https://no-color.org: any value but an empty one.
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            stdin,
            out,
            screen: Screen { width, colour: terminal && !no_color },
            progress: std::io::stderr().is_terminal(),
            now: Timestamp::now,
        }
    }
}
