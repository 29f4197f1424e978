//! The three environments on real pods, with the values of `environments/` as
//! they are: what a user of Redis and what the person on call would see.
//!
//! Needs two nodes, which `tests/pods.sh` starts; it names their state folder in
//! `REDIS_GITOPS_PODS`. The cases share one daemon and run one after the other.

#[path = "../support/control_plane.rs"]
#[allow(dead_code, reason = "the API server's own tests use the rest")]
mod control_plane;
#[path = "../support/daemon.rs"]
#[allow(dead_code, reason = "the API server's own tests use the rest")]
mod daemon;
#[path = "../support/git_server.rs"]
#[allow(dead_code, reason = "the mirror's own tests use the rest")]
mod git_server;

mod operation;
mod prometheus;
mod redis;
mod world;

use std::{process::ExitCode, sync::Arc};

use libtest_mimic::{Arguments, Trial};
use world::World;

/// A case: its name, and what it does with the world.
type Case = (&'static str, fn(&World));

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    let cases: Vec<Case> = [redis::CASES, operation::CASES].concat();
    if arguments.list {
        return libtest_mimic::run(&arguments, cases.iter().map(|(name, _)| Trial::test(*name, || Ok(()))).collect())
            .exit_code();
    }
    arguments.test_threads = Some(1);
    let world = Arc::new(World::start());
    let trials = cases
        .into_iter()
        .map(|(name, run)| {
            let world = Arc::clone(&world);
            Trial::test(name, move || {
                run(&world);
                Ok(())
            })
        })
        .collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    drop(world);
    conclusion.exit_code()
}
