//! The daemon against a real API server and a real Git server: what a user of an
//! environment would see. One control plane serves all cases; each has its own
//! repository, namespaces and daemon.

#[path = "../support/api_proxy.rs"]
mod api_proxy;
#[path = "../support/control_plane.rs"]
#[allow(dead_code, reason = "the tests on real pods use the rest")]
mod control_plane;
#[path = "../support/daemon.rs"]
#[allow(dead_code, reason = "the tests on real pods use the rest")]
mod daemon;
#[path = "../support/git_server.rs"]
#[allow(dead_code, reason = "the mirror's own tests use the rest")]
mod git_server;

mod adoption;
mod commits;
mod drift;
mod faults;
mod lifecycle;
mod restraint;
mod secrets;
mod world;

use std::{process::ExitCode, sync::Arc};

use control_plane::ControlPlane;
use libtest_mimic::{Arguments, Trial};

/// A case: its name, and what it does with the control plane.
type Case = (&'static str, fn(&ControlPlane));

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    let cases: Vec<Case> = [
        commits::CASES,
        drift::CASES,
        lifecycle::CASES,
        adoption::CASES,
        secrets::CASES,
        restraint::CASES,
        faults::CASES,
    ]
    .concat();
    if arguments.list {
        return libtest_mimic::run(&arguments, cases.iter().map(|(name, _)| Trial::test(*name, || Ok(()))).collect())
            .exit_code();
    }
    arguments.test_threads.get_or_insert(4);
    let plane = Arc::new(ControlPlane::start());
    let trials = cases
        .into_iter()
        .map(|(name, run)| {
            let plane = Arc::clone(&plane);
            Trial::test(name, move || {
                run(&plane);
                Ok(())
            })
        })
        .collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    drop(plane);
    conclusion.exit_code()
}
