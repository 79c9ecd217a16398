//! The real binary: a broker in a temporary directory on a free port, and commands against it.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// A command that takes longer hangs.
const PATIENCE: Duration = Duration::from_mins(2);

/// A command without anything of this machine's environment.
pub(crate) fn ottla(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ottla"));
    command.args(arguments).env_clear();
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Ended {
    pub(crate) fn out(&self) -> String {
        String::from_utf8(self.stdout.clone()).expect("the output is text")
    }

    /// The output of a command that must have gone well.
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.out()
    }

    /// The errors of a command that must have failed so.
    pub(crate) fn failed(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{self:?}");
        self.stderr
    }
}

/// Runs a command to its end.
pub(crate) fn run(arguments: &[&str], input: &[u8]) -> Ended {
    let mut child = ottla(arguments)
        .stdin(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut stdin = child.stdin.take().expect("it is piped");
    let input = input.to_vec();
    // A command that ends early does not read it all.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let ended = end(child);
    writer.join().expect("writing does not panic");
    ended
}

/// Waits for a child; one that hangs is killed and told.
pub(crate) fn end(child: Child) -> Ended {
    let pid = pid(&child);
    let (sender, receiver) = mpsc::channel();
    let waiter = std::thread::spawn(move || drop(sender.send(child.wait_with_output())));
    let outcome = receiver.recv_timeout(PATIENCE);
    if outcome.is_err() {
        let _ = kill_process(pid, Signal::KILL);
    }
    waiter.join().expect("waiting does not panic");
    let output = outcome
        .expect("the command ends in time")
        .expect("a child can be waited for");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    Ended {
        code: output.status.code(),
        stdout: output.stdout,
        stderr,
    }
}

fn pid(child: &Child) -> Pid {
    Pid::from_child(child)
}

/// A broker that runs.
pub(crate) struct Broker {
    child: Option<Child>,
    stdout: BufReader<ChildStdout>,
    stderr: Option<JoinHandle<String>>,
    pub(crate) port: u16,
    pub(crate) banner: String,
}

impl Broker {
    /// Starts a broker on a free port.
    pub(crate) fn start(data_dir: &Path) -> Self {
        Self::start_with(data_dir, &["--port", "0"])
    }

    /// Starts a broker with these flags.
    pub(crate) fn start_with(data_dir: &Path, flags: &[&str]) -> Self {
        let data_dir = data_dir.to_str().expect("a path of text");
        let mut command = ottla(flags);
        let mut child = command
            .args(["--data-dir", data_dir])
            .spawn()
            .expect("the binary starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut stderr = child.stderr.take().expect("it is piped");
        let stderr = std::thread::spawn(move || {
            let mut text = String::new();
            let _ = stderr.read_to_string(&mut text);
            text
        });
        let mut banner = String::new();
        // The last line of the banner says what to type with the port.
        while !banner.lines().any(|line| line.contains("grpcurl")) {
            let read = stdout.read_line(&mut banner).expect("the banner is text");
            if read == 0 {
                let status = child.wait();
                let said = stderr.join();
                panic!("the broker did not start: {status:?} {banner} {said:?}");
            }
        }
        let listening = banner.lines().find(|line| line.contains("listening"));
        let address = listening.and_then(|line| line.split_whitespace().nth(1));
        let port = address.and_then(|address| address.rsplit(':').next()?.parse().ok());
        let port = port.unwrap_or_else(|| panic!("the banner names no port: {banner}"));
        Self {
            child: Some(child),
            stdout,
            stderr: Some(stderr),
            port,
            banner,
        }
    }

    pub(crate) fn address(&self) -> String {
        format!("localhost:{}", self.port)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// Runs a command against this broker.
    pub(crate) fn run(&self, arguments: &[&str], input: &[u8]) -> Ended {
        let address = self.address();
        run(&[arguments, &["-b", &address]].concat(), input)
    }

    /// Starts a command against this broker.
    pub(crate) fn spawn(&self, arguments: &[&str]) -> Child {
        let address = self.address();
        let mut command = ottla(&[arguments, &["-b", &address]].concat());
        command
            .stdin(Stdio::piped())
            .spawn()
            .expect("the binary starts")
    }

    /// Ends the broker with a signal; how it ended, and what it wrote to standard error.
    pub(crate) fn stop(mut self, signal: Signal) -> (ExitStatus, String) {
        let mut child = self.child.take().expect("it runs");
        kill_process(pid(&child), signal).expect("it runs");
        let status = child.wait().expect("a child can be waited for");
        let mut rest = String::new();
        let _ = self.stdout.read_to_string(&mut rest);
        let stderr = self.stderr.take().expect("it is joined once").join();
        (status, rest + &stderr.expect("reading does not panic"))
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Reads one line of a running command.
pub(crate) fn read_line(reader: &mut impl BufRead) -> String {
    let mut line = String::new();
    reader.read_line(&mut line).expect("the output is text");
    line
}
