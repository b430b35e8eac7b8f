//! Programs into processes that end when this one ends, however it ends. Does IO: starts processes, sends signals.
//!
//! Between this process and the program stands a shell that reads a pipe of which only this process holds the other
//! end. The kernel closes it even when this process is killed with SIGKILL; the shell then ends the program and
//! removes its files. The shell leads a process group of its own, so that an interrupt typed at a terminal, or a
//! signal for the whole group of a test run, does not take it before it has cleaned up.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// Arguments: tenths of a second between TERM and KILL, the log, what to remove at the end, the program and its own
/// arguments. Says the program's process id on standard output and exits with the program's exit code.
const SUPERVISE: &str = r#"
grace=$1 log=$2 remove=$3
shift 3
# A shell gives its background processes an empty standard input, so the pipe needs a name of its own.
exec 3<&0 </dev/null 2>>"$log"
"$@" >>"$log" 2>&1 3<&- &
child=$!
echo "$child"
exec >/dev/null
(
  cat <&3
  [ -z "$remove" ] || : >"$remove/.ending"
  if [ "$grace" -gt 0 ]; then
    kill -TERM "$child"
    # A stopped process takes its TERM only when it goes on.
    kill -CONT "$child"
  fi
  while [ "$grace" -gt 0 ] && kill -0 "$child"; do
    sleep 0.1
    grace=$((grace - 1))
  done
  kill -KILL "$child"
) 2>/dev/null &
watch=$!
wait "$child"
code=$?
kill "$watch" 2>/dev/null
clean_up() {
  rm -rf "$remove"
  # The last of several removes the folder that they share.
  rmdir "${remove%/*}" 2>/dev/null
}
if [ -z "$remove" ]; then
  :
elif [ -e "$remove/.ending" ]; then
  clean_up
else
  # It ended by itself: whoever started it may want to read its log.
  (cat <&3; clean_up) &
fi
exit "$code"
"#;

/// A program that is to be started under supervision.
#[derive(Debug)]
#[must_use = "a program does nothing until it is started"]
pub struct Program {
    path: OsString,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    inherits_env: bool,
    log: PathBuf,
    grace: Duration,
    current_dir: Option<PathBuf>,
    remove: Option<PathBuf>,
}

impl Program {
    /// The program at `path` (or on the `PATH`), whose standard output and error are appended to the file `log`. Its
    /// standard input is empty, and its environment that of this process.
    pub fn new(path: impl AsRef<OsStr>, log: impl Into<PathBuf>) -> Self {
        Self {
            path: path.as_ref().to_owned(),
            args: Vec::new(),
            env: Vec::new(),
            inherits_env: true,
            log: log.into(),
            grace: Duration::from_secs(5),
            current_dir: None,
            remove: None,
        }
    }

    /// Adds arguments.
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets a variable of the environment.
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Gives the program nothing of this process's environment but the `PATH`: no credentials, no `HOME`, no
    /// `KUBECONFIG` of whoever runs the tests.
    pub fn clear_env(mut self) -> Self {
        self.inherits_env = false;
        self
    }

    /// How long the program has between TERM and KILL; 5 s unless told, none means KILL at once.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Runs the program in the folder `path`.
    pub fn current_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.current_dir = Some(path.into());
        self
    }

    /// Removes the folder `path` once the program has ended and is no longer wanted, and the folder around it if that
    /// is then empty.
    pub fn remove_after(mut self, path: impl Into<PathBuf>) -> Self {
        self.remove = Some(path.into());
        self
    }

    /// Starts the program.
    ///
    /// # Errors
    /// When there is no shell or the log cannot be written. That the program does not exist is found out as of any
    /// program that ends early: [`Supervised::exited`] with code 127, and the reason in the log.
    pub fn start(self) -> Result<Supervised> {
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(SUPERVISE).arg("supervisor");
        shell.arg((self.grace.as_millis() / 100).to_string());
        shell.arg(&self.log).arg(self.remove.unwrap_or_default());
        shell.arg(&self.path).args(&self.args);
        if !self.inherits_env {
            shell.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        }
        shell.envs(self.env).process_group(0);
        if let Some(dir) = self.current_dir {
            shell.current_dir(dir);
        }
        shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());

        let name = self.path.display().to_string();
        let mut shell = shell.spawn().with_context(|| format!("could not start a shell for {name}"))?;
        let mut line = String::new();
        if let Some(stdout) = shell.stdout.take() {
            BufReader::new(stdout).read_line(&mut line).with_context(|| format!("could not start {name}"))?;
        }
        let Ok(pid) = line.trim().parse() else {
            bail!("could not start {name}: its supervisor ended, can {} be written?", self.log.display());
        };
        Ok(Supervised { name, pid, shell, log: self.log })
    }
}

/// A signal that a test sends to a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Asks it to end.
    Term,
    /// Ends it without a last word.
    Kill,
    /// Halts it, as a machine that hangs would.
    Stop,
    /// Lets it go on.
    Continue,
}

/// A program that runs under supervision; dropping it ends it.
#[derive(Debug)]
pub struct Supervised {
    name: String,
    pid: u32,
    shell: Child,
    log: PathBuf,
}

impl Supervised {
    /// The id of the program's own process, not of the shell that watches it.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The file that holds what the program wrote.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// How the program ended, `None` while it runs. After a signal the code is 128 and the signal's number.
    ///
    /// # Errors
    /// When the operating system does not say.
    pub fn exited(&mut self) -> Result<Option<ExitStatus>> {
        self.shell.try_wait().with_context(|| format!("could not ask whether {} still runs", self.name))
    }

    /// Waits until the program has ended by itself or by a signal.
    ///
    /// # Errors
    /// When it still runs after `limit`.
    pub async fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        let deadline = tokio::time::Instant::now() + limit;
        loop {
            if let Some(status) = self.exited()? {
                return Ok(status);
            }
            if tokio::time::Instant::now() >= deadline {
                bail!("{} still runs after {} s; its log ends:\n{}", self.name, limit.as_secs(), self.log_tail());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Sends a signal to the program.
    ///
    /// # Errors
    /// When it has ended.
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        // Once the program has ended its id may be somebody else's.
        if let Some(status) = self.exited()? {
            bail!("{} has ended already: {status}", self.name);
        }
        let signal = match signal {
            Signal::Term => "TERM",
            Signal::Kill => "KILL",
            Signal::Stop => "STOP",
            Signal::Continue => "CONT",
        };
        let sent = Command::new("sh")
            .args(["-c", r#"kill -s "$0" "$1""#, signal, &self.pid.to_string()])
            .status()
            .with_context(|| format!("could not send {signal} to {}", self.name))?;
        if !sent.success() {
            bail!("could not send {signal} to {} (process {})", self.name, self.pid);
        }
        Ok(())
    }

    /// Kills the program with SIGKILL and waits until it is gone.
    ///
    /// # Errors
    /// When it does not go.
    pub async fn kill(&mut self) -> Result<ExitStatus> {
        if self.exited()?.is_none() {
            self.signal(Signal::Kill)?;
        }
        self.wait(Duration::from_secs(10)).await
    }

    /// Ends the program as dropping it does, TERM first, and says how it ended.
    ///
    /// # Errors
    /// When the operating system does not say.
    pub fn end(mut self) -> Result<ExitStatus> {
        self.shell.wait().with_context(|| format!("could not wait for {}", self.name))
    }

    /// The last 4 KiB of the log, for error messages.
    #[must_use]
    pub fn log_tail(&self) -> String {
        tail(&self.log, 4096).unwrap_or_else(|error| format!("({} cannot be read: {error})", self.log.display()))
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        // `wait` closes the pipe first, which is what the shell waits for.
        let _ = self.shell.wait();
    }
}

fn tail(path: &Path, bytes: u64) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(bytes)))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    Ok(String::from_utf8_lossy(&tail).into_owned())
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::{Duration, Instant};

    use super::*;

    const PARENT: &str = "PLUMBLINE_RIG_PLAYS_THE_PARENT";

    fn runs(pid: u32) -> bool {
        Command::new("sh").args(["-c", "kill -0 $0 2>/dev/null", &pid.to_string()]).status().unwrap().success()
    }

    fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
        let began = Instant::now();
        while !holds() {
            assert!(began.elapsed() < Duration::from_secs(10), "not within 10 s: {what}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn shell(script: &str, dir: &Path) -> Program {
        Program::new("sh", dir.join("log")).args(["-c", script])
    }

    /// Runs itself once more as the process that starts two programs and is then killed.
    #[test]
    fn a_killed_parent_takes_its_children_and_their_files_along() {
        if let Some(dir) = std::env::var_os(PARENT).map(PathBuf::from) {
            play_the_parent(&dir);
        }
        let outer = tempfile::tempdir().unwrap();
        let dir = outer.path().join("shared");
        std::fs::create_dir(&dir).unwrap();
        let mut parent = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "supervisor::tests::a_killed_parent_takes_its_children_and_their_files_along"])
            .env(PARENT, &dir)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut pids = String::new();
        eventually("both children run", || {
            pids = std::fs::read_to_string(dir.join("pids")).unwrap_or_default();
            pids.ends_with('\n')
        });
        let pids: Vec<u32> = pids.split_whitespace().map(|pid| pid.parse().unwrap()).collect();
        std::fs::remove_file(dir.join("pids")).unwrap();
        assert!(pids.len() == 2 && pids.iter().all(|pid| runs(*pid)), "{pids:?}");

        parent.kill().unwrap();
        parent.wait().unwrap();
        eventually("both children are gone", || !pids.iter().any(|pid| runs(*pid)));
        eventually("the shared folder is gone", || !dir.exists());
    }

    fn play_the_parent(dir: &Path) -> ! {
        let start = |name: &str, script: &str| {
            let own = dir.join(name);
            std::fs::create_dir(&own).unwrap();
            shell(script, &own).grace(Duration::from_millis(200)).remove_after(own).start().unwrap()
        };
        let meek = start("meek", "exec sleep 600");
        let deaf = start("deaf", "trap '' TERM; while :; do sleep 0.1; done");
        let partial = dir.with_file_name("pids");
        std::fs::write(&partial, format!("{} {}\n", meek.pid(), deaf.pid())).unwrap();
        std::fs::rename(partial, dir.join("pids")).unwrap();
        std::thread::sleep(Duration::from_mins(10));
        unreachable!("nobody killed the parent");
    }

    #[test]
    fn dropping_ends_even_a_stopped_program_and_removes_its_folder() {
        let outer = tempfile::tempdir().unwrap();
        let own = outer.path().join("shared/own");
        std::fs::create_dir_all(&own).unwrap();
        let mut program = shell("exec sleep 600", &own).remove_after(&own).start().unwrap();
        let pid = program.pid();
        program.signal(Signal::Stop).unwrap();
        let began = Instant::now();
        drop(program);
        assert!(!runs(pid) && !own.exists() && !own.parent().unwrap().exists());
        assert!(began.elapsed() < Duration::from_secs(4), "TERM was not taken, only KILL");
    }

    #[test]
    fn term_comes_first_so_that_a_program_can_say_goodbye() {
        let dir = tempfile::tempdir().unwrap();
        let script = "trap 'echo goodbye; exit 7' TERM; echo hello; while :; do sleep 0.05; done";
        let program = shell(script, dir.path()).start().unwrap();
        eventually("it is up", || program.log_tail().contains("hello"));
        let log = program.log().to_owned();
        assert_eq!(program.end().unwrap().code(), Some(7));
        assert_eq!(std::fs::read_to_string(log).unwrap(), "hello\ngoodbye\n");
    }

    #[tokio::test]
    async fn an_early_end_is_noticed_with_its_code_and_its_log() {
        let dir = tempfile::tempdir().unwrap();
        let mut program = shell("echo no such luck >&2; exit 3", dir.path()).start().unwrap();
        assert_eq!(program.wait(Duration::from_secs(10)).await.unwrap().code(), Some(3));
        assert_eq!(program.log_tail(), "no such luck\n");
        assert!(program.signal(Signal::Term).is_err());

        let mut missing = Program::new("/does/not/exist", dir.path().join("missing")).start().unwrap();
        assert_eq!(missing.wait(Duration::from_secs(10)).await.unwrap().code(), Some(127));
        assert!(missing.log_tail().contains("/does/not/exist"));
    }

    #[tokio::test]
    async fn the_folder_of_a_program_that_ended_early_stays_as_long_as_somebody_may_read_it() {
        let outer = tempfile::tempdir().unwrap();
        let own = outer.path().join("shared/own");
        std::fs::create_dir_all(&own).unwrap();
        let mut program = shell("echo no such luck; exit 3", &own).remove_after(&own).start().unwrap();
        program.wait(Duration::from_secs(10)).await.unwrap();
        assert_eq!(program.log_tail(), "no such luck\n");
        drop(program);
        eventually("the folders are gone", || !outer.path().join("shared").exists());
    }

    #[tokio::test]
    async fn kill_ends_the_program_itself_without_a_last_word() {
        let dir = tempfile::tempdir().unwrap();
        let script = "trap 'echo goodbye' TERM; echo hello; while :; do sleep 0.05; done";
        let mut program = shell(script, dir.path()).start().unwrap();
        eventually("it is up", || program.log_tail().contains("hello"));
        assert_eq!(program.kill().await.unwrap().code(), Some(128 + 9));
        assert_eq!(std::fs::read_to_string(program.log()).unwrap().lines().next(), Some("hello"));
        assert!(!program.log_tail().contains("goodbye") && !runs(program.pid()));
    }

    #[tokio::test]
    async fn a_cleared_environment_holds_the_path_and_what_was_set() {
        let dir = tempfile::tempdir().unwrap();
        let mut program = shell("echo ${CARGO_MANIFEST_DIR:-nothing} $SET; env | grep -c ^PATH=", dir.path())
            .clear_env()
            .env("SET", "set")
            .start()
            .unwrap();
        program.wait(Duration::from_secs(10)).await.unwrap();
        assert_eq!(program.log_tail(), "nothing set\n1\n");
    }
}
