//! Our renderer against the real helm, byte for byte.
//!
//! Helm is found through the environment variable `HELM` or in `.state/bin`;
//! without it these tests fail. Cases are files: see `tests/helm`.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use clap::Parser;
use redis_gitops::cli::template::{TemplateArgs, run};

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    args: TemplateArgs,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn helm() -> PathBuf {
    let path = std::env::var_os("HELM").map_or_else(|| root().join(".state/bin/helm"), PathBuf::from);
    assert!(path.is_file(), "{} is missing: run `make tools`, or set HELM to a helm 4.1.4", path.display());
    path
}

/// What a program printed, or that it failed and why.
type Outcome = Result<String, String>;

fn theirs(dir: &Path, args: &[String]) -> Outcome {
    let output =
        Command::new(helm()).current_dir(dir).arg("template").args(args).output().expect("helm can be started");
    if output.status.success() {
        Ok(String::from_utf8(output.stdout).expect("helm prints text"))
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// Paths in arguments are relative to `dir`, as for the process of helm.
fn ours(dir: &Path, args: &[String]) -> Outcome {
    let located = args.iter().map(|arg| {
        let (key, path) = match arg.split_once('=') {
            Some((key, path)) if dir.join(path).is_file() => (format!("{key}="), path),
            _ => (String::new(), arg.as_str()),
        };
        let exists = dir.join(path).exists() && path != "." && !path.starts_with('-');
        if exists { format!("{key}{}", dir.join(path).display()) } else { arg.clone() }
    });
    let command = std::iter::once("template".to_owned()).chain(located);
    let parsed = Arguments::try_parse_from(command).map_err(|e| e.to_string())?;
    let mut out = Vec::new();
    run(&parsed.args, &mut out).map_err(|e| e.to_string())?;
    Ok(String::from_utf8(out).expect("the output is text"))
}

/// Compares one case; what differs, if anything does.
fn compare(dir: &Path, args: &[String], must_fail: bool) -> Option<String> {
    let case = args.join(" ");
    match (theirs(dir, args), ours(dir, args)) {
        (Err(_), Err(_)) if must_fail => None,
        (Ok(theirs), Ok(ours)) if !must_fail => {
            let line = theirs.lines().zip(ours.lines()).position(|(a, b)| a != b);
            if theirs == ours {
                return None;
            }
            let line = line.unwrap_or(theirs.lines().count().min(ours.lines().count()));
            let at = |text: &str| text.lines().nth(line).unwrap_or("(the end)").to_owned();
            Some(format!("{case}\n  line {}\n  helm: {}\n  ours: {}\n", line + 1, at(&theirs), at(&ours)))
        }
        (theirs, ours) => {
            let show = |outcome: &Outcome| match outcome {
                Ok(_) => "succeeds".to_owned(),
                Err(error) => format!("fails: {}", error.lines().next().unwrap_or_default()),
            };
            Some(format!("{case}\n  helm {}\n  ours {}\n", show(&theirs), show(&ours)))
        }
    }
}

fn report(failures: &[String], total: usize) {
    assert!(failures.is_empty(), "{} of {total} cases differ:\n{}", failures.len(), failures.concat());
}

fn yaml_files(dir: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join(dir)).unwrap_or_else(|e| panic!("{dir}: {e}"));
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("readable").path())
        .filter(|p| p.extension().is_some_and(|e| e == "yaml"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{dir} holds no cases");
    files
}

#[test]
fn charts_render_as_helm_renders_them() {
    let dir = root().join("tests/helm/charts");
    let cases = fs::read_to_string(root().join("tests/helm/cases.txt")).expect("the cases");
    let lines: Vec<&str> = cases.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    let failures: Vec<String> = lines
        .iter()
        .filter_map(|line| {
            let (must_fail, line) = line.strip_prefix("! ").map_or((false, *line), |rest| (true, rest));
            // A backtick stands for a space inside an argument.
            let args: Vec<String> = line.split(' ').map(|arg| arg.replace('`', " ")).collect();
            compare(&dir, &args, must_fail)
        })
        .collect();
    report(&failures, lines.len());
}

#[test]
fn every_environment_and_overlay_of_the_redis_chart_is_identical() {
    let mut files: Vec<PathBuf> = Vec::new();
    for environment in ["dev", "staging", "prod"] {
        files.push(root().join("environments").join(environment).join("values.yaml"));
    }
    files.extend(yaml_files("tests/chart/overlays"));
    let mut failures = Vec::new();
    let mut total = 0;
    for file in &files {
        let args = ["redis", "charts/redis", "-n", "project-template", "-f", &file.display().to_string()];
        total += 1;
        failures.extend(compare(&root(), &args.map(str::to_owned), false));
    }
    for file in yaml_files("tests/chart/refused") {
        let args = ["redis", "charts/redis", "-n", "project-template", "-f", &file.display().to_string()];
        total += 1;
        failures.extend(compare(&root(), &args.map(str::to_owned), true));
    }
    report(&failures, total);
}

/// A chart of one template, with values that the cases share.
fn chart_of(dir: &Path, template: &Path) -> PathBuf {
    let chart = dir.join("errors");
    let _ = fs::remove_dir_all(&chart);
    fs::create_dir_all(chart.join("templates")).expect("a folder");
    fs::write(chart.join("Chart.yaml"), "apiVersion: v2\nname: errors\nversion: 0.1.0\n").expect("written");
    fs::write(chart.join("values.yaml"), "num: 42\nlist: [a, b]\nmap: {x: 1}\n").expect("written");
    fs::copy(template, chart.join("templates/case.yaml")).expect("copied");
    chart
}

#[test]
fn what_fails_with_helm_fails_here_with_a_better_message() {
    let update = std::env::var_os("UPDATE_SNAPSHOTS").is_some();
    let dir = tempfile::tempdir().expect("a folder");
    let mut failures = Vec::new();
    let files = yaml_files("tests/helm/errors");
    for file in &files {
        let chart = chart_of(dir.path(), file);
        let args = ["rel".to_owned(), chart.display().to_string()];
        let name = file.file_stem().expect("a name").to_string_lossy().into_owned();
        if let Err(error) = ours(dir.path(), &args) {
            let snapshot = file.with_extension("txt");
            if update {
                fs::write(&snapshot, format!("{error}\n")).expect("written");
            }
            let expected = fs::read_to_string(&snapshot).unwrap_or_default();
            if expected.trim_end() != error.trim_end() {
                let mut text = String::new();
                let _ = writeln!(text, "{name}: the message changed\n--- expected\n{expected}\n--- found\n{error}");
                failures.push(text);
            }
        }
        failures.extend(compare(dir.path(), &args, true).map(|difference| format!("{name}: {difference}")));
    }
    report(&failures, files.len());
}

/// The promise: a bad value is refused with file, line and column, and never
/// shown, since it may be a password.
#[test]
fn a_refused_value_is_located() {
    let dir = root().join("tests/helm/charts");
    let message = |args: &[&str]| {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        ours(&dir, &args).expect_err("the schema refuses it").replace(&format!("{}/", dir.display()), "")
    };
    let in_file = message(&["rel", "schema", "-f", "schema/overlays/bad.yaml"]);
    assert!(in_file.contains("schema/overlays/bad.yaml:5:11: list.1.name: the value does not match"), "{in_file}");
    assert!(!in_file.contains("Not-Ok"), "{in_file}");
    let by_flag = message(&["rel", "schema", "--set", "mode=hidden"]);
    assert!(by_flag.contains("a --set flag: mode: the value is not one of \"fast\" or \"slow\""), "{by_flag}");
    let both = message(&["rel", "schema", "-f", "schema/overlays/bad.yaml", "--set", "size=0"]);
    assert!(both.contains("bad.yaml:5:11") && both.contains("a --set flag: size"), "{both}");
}

/// Severity and file of each finding, sorted.
fn findings(text: &str) -> Vec<String> {
    let mut found: Vec<String> = text
        .lines()
        .filter(|line| ["[ERROR]", "[WARNING]", "[INFO]"].iter().any(|label| line.starts_with(label)))
        .map(|line| line.split(": ").next().unwrap_or_default().to_owned())
        .collect();
    found.sort();
    found.dedup();
    found
}

#[test]
fn lint_finds_what_helm_lint_finds() {
    let charts = root().join("tests/helm/charts");
    let mut failures = Vec::new();
    let names = ["output", "parent", "schema", "sloppy", "broken", "nodeps", "nothing"];
    for name in names {
        let chart = charts.join(name).display().to_string();
        let theirs = Command::new(helm()).arg("lint").arg(&chart).output().expect("helm can be started");
        let mut ours = Vec::new();
        let args = redis_gitops::cli::lint::LintArgs { chart: chart.clone(), ..Default::default() };
        let passed = redis_gitops::cli::lint::run(&args, &mut ours).expect("lint runs");
        // Helm names the whole folder where we name charts/.
        let their_text = String::from_utf8_lossy(&theirs.stdout).replace(&format!("] {chart}:"), "] charts/:");
        let our_text = String::from_utf8_lossy(&ours);
        if findings(&their_text) != findings(&our_text) || theirs.status.success() != passed {
            failures.push(format!("{name}\n--- helm\n{their_text}\n--- ours\n{our_text}\n"));
        }
    }
    report(&failures, names.len());
}
