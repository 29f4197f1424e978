//! What a process costs, from /proc.

use std::{fs, path::Path, process::Stdio, time::Duration};

/// Clock ticks per second in /proc; Linux fixes it at 100 for programs.
const TICKS: f64 = 100.0;

/// Resident memory of a running process, in MB (10^6 bytes).
pub fn resident(pid: u32) -> f64 {
    status_line(pid, "VmRSS:").expect("it runs")
}

/// The most memory it ever had resident, in MB.
pub fn peak(pid: u32) -> Option<f64> {
    status_line(pid, "VmHWM:")
}

fn status_line(pid: u32, name: &str) -> Option<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let kib: f64 = text.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024.0 / 1e6)
}

/// The number of threads of a running process.
pub fn threads(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/task")).expect("it runs").count()
}

/// CPU seconds that a running process has used.
pub fn cpu(pid: u32) -> f64 {
    stat(&pid.to_string(), 13..15)
}

/// CPU seconds of all programs that this one has started and seen ending.
pub fn cpu_of_ended_children() -> f64 {
    stat("self", 15..17)
}

/// The sum of some fields of `stat`, counted from 0, in seconds.
fn stat(process: &str, fields: std::ops::Range<usize>) -> f64 {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).expect("it runs");
    // The second field is the program's name in parentheses, which may hold spaces.
    let after_name = text.rsplit_once(')').expect("it has a name").1;
    let values: Vec<f64> = after_name.split_whitespace().map(|field| field.parse().unwrap_or(0.0)).collect();
    values[fields.start - 2..fields.end - 2].iter().sum::<f64>() / TICKS
}

/// Runs a program to its end without its output.
pub fn run(program: &Path, arguments: &[&str]) {
    let status = command(program, arguments).status().expect("it runs");
    assert!(status.success(), "{} {arguments:?}", program.display());
}

/// Runs a program and looks at its memory until it ends; the most seen, in MB.
pub fn peak_of_run(program: &Path, arguments: &[&str]) -> f64 {
    let mut child = command(program, arguments).spawn().expect("it runs");
    let mut most: f64 = 0.0;
    while child.try_wait().expect("a child").is_none() {
        most = most.max(peak(child.id()).unwrap_or(0.0));
        std::thread::park_timeout(Duration::from_micros(200));
    }
    most
}

fn command(program: &Path, arguments: &[&str]) -> std::process::Command {
    let mut command = std::process::Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null());
    command
}
