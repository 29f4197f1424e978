//! The bars of drift on a real API server: no kind shows drift that is none, and
//! every value of the chart can go somewhere else and back without a loss.

#[path = "../support/control_plane.rs"]
#[allow(dead_code, reason = "the loop's own tests use the rest")]
mod control_plane;
#[path = "../support/daemon.rs"]
#[allow(dead_code, reason = "the loop's own tests use the rest")]
mod daemon;
#[path = "../support/git_server.rs"]
#[allow(dead_code, reason = "the mirror's own tests use the rest")]
mod git_server;
#[path = "../reconcile/world.rs"]
#[allow(dead_code, reason = "the loop's own tests use the rest")]
mod world;

mod ignore;
mod kinds;
mod transitions;

use std::{process::ExitCode, sync::Arc};

use control_plane::ControlPlane;
use libtest_mimic::{Arguments, Trial};

/// A case: its name, and what it does with the control plane.
type Case = (&'static str, fn(&ControlPlane));

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    let cases: Vec<Case> = [ignore::CASES, kinds::CASES, transitions::CASES].concat();
    if arguments.list {
        return libtest_mimic::run(&arguments, cases.iter().map(|(name, _)| Trial::test(*name, || Ok(()))).collect())
            .exit_code();
    }
    arguments.test_threads.get_or_insert(2);
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
