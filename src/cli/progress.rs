//! From what the engine says is under way to one line an account on standard error. IO to a terminal alone.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::baseline::Control;
use crate::engine::Progress;

/// The lines of all accounts.
pub(super) struct Lines(MultiProgress);

/// The line of one account; it vanishes with the value.
pub(super) struct Line {
    bar: ProgressBar,
    under_way: Mutex<BTreeMap<Control, (usize, usize)>>,
}

impl Lines {
    /// Lines that are shown, or that nobody sees.
    pub(super) fn new(shown: bool) -> Self {
        let target = if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Self(MultiProgress::with_draw_target(target))
    }

    /// A line for an account.
    pub(super) fn start(&self, name: &str) -> Line {
        let bar = self.0.add(ProgressBar::new_spinner());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix}: {wide_msg}") {
            bar.set_style(style);
        }
        bar.set_prefix(name.to_owned());
        bar.set_message("reaching the account");
        if !bar.is_hidden() {
            bar.enable_steady_tick(Duration::from_millis(120));
        }
        Line { bar, under_way: Mutex::default() }
    }
}

impl Line {
    fn update(&self, change: impl FnOnce(&mut BTreeMap<Control, (usize, usize)>)) {
        // A poisoned lock means that another thread panicked while it held counters: they are still counters.
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut under_way);
        self.bar.set_message(describe(&under_way));
    }
}

impl Progress for Line {
    fn started(&self, control: Control) {
        self.update(|under_way| {
            under_way.insert(control, (0, 0));
        });
    }

    fn advanced(&self, control: Control, done: usize, total: usize) {
        self.update(|under_way| {
            under_way.insert(control, (done, total));
        });
    }

    fn finished(&self, control: Control) {
        self.update(|under_way| {
            under_way.remove(&control);
        });
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// `mfa 3 of 12, securityGroups`
fn describe(under_way: &BTreeMap<Control, (usize, usize)>) -> String {
    let one = |(control, (done, total)): (&Control, &(usize, usize))| match total {
        0 => control.to_string(),
        total => format!("{control} {done} of {total}"),
    };
    under_way.iter().map(one).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_which_controls_are_under_way_and_how_far() {
        let line = Lines::new(false).start("payments-prod");
        let shown = |line: &Line| line.bar.message();
        assert_eq!(shown(&line), "reaching the account");
        line.started(Control::SecurityGroups);
        line.started(Control::Mfa);
        line.advanced(Control::Mfa, 3, 12);
        assert_eq!(shown(&line), "mfa 3 of 12, securityGroups");
        line.finished(Control::Mfa);
        assert_eq!(shown(&line), "securityGroups");
    }
}
