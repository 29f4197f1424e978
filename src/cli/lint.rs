//! `redis-gitops lint`: what `helm lint` finds.

use std::{io::Write, path::PathBuf};

use super::{
    folder::Folder,
    template::{TemplateCommandError, ValueArgs},
};
use crate::{
    chart::{Capabilities, KubeVersion, Release, RenderInputs, Severity, lint},
    reconcile::{SystemClock, SystemEntropy},
    template::Limits,
};

/// Look for mistakes in a chart, as `helm lint` does
///
/// Exits with 1 when there are errors (with --strict, warnings too).
#[derive(Debug, Default, clap::Args)]
pub struct LintArgs {
    /// The folder of the chart
    #[arg(default_value = ".")]
    pub chart: String,
    /// Values and where they come from
    #[command(flatten)]
    pub values: ValueArgs,
    /// The namespace that templates see
    #[arg(short, long, default_value = "default")]
    pub namespace: String,
    /// The Kubernetes version that templates see, such as 1.36.0
    #[arg(long, value_name = "VERSION")]
    pub kube_version: Option<String>,
    /// Fail on warnings
    #[arg(long)]
    pub strict: bool,
    /// Print only warnings and errors
    #[arg(long)]
    pub quiet: bool,
}

/// Prints the findings; whether the chart passes.
pub fn run(args: &LintArgs, out: &mut dyn Write) -> Result<bool, TemplateCommandError> {
    let values = args.values.read()?;
    let mut capabilities = Capabilities::default();
    if let Some(version) = &args.kube_version {
        capabilities.kube_version =
            KubeVersion::parse(version).ok_or_else(|| TemplateCommandError::KubeVersion(version.clone()))?;
    }
    let release =
        Release { name: "test-release".to_owned(), namespace: args.namespace.clone(), revision: 0, is_upgrade: false };
    let inputs = RenderInputs {
        values: &values,
        release: &release,
        capabilities: &capabilities,
        lookup: None,
        clock: &SystemClock,
        entropy: &SystemEntropy,
        lenient: true,
        limits: Limits::default(),
    };
    let findings = lint(&Folder::new(PathBuf::from(&args.chart)), "", &inputs);
    let threshold = if args.strict { Severity::Warning } else { Severity::Error };
    let failed = findings.iter().any(|finding| finding.severity >= threshold);
    writeln!(out, "==> Linting {}", args.chart)?;
    for finding in &findings {
        if args.quiet && finding.severity == Severity::Info {
            continue;
        }
        let label = match finding.severity {
            Severity::Info => "INFO",
            Severity::Warning => "WARNING",
            Severity::Error => "ERROR",
        };
        writeln!(out, "[{label}] {}: {}", finding.file, finding.message)?;
    }
    writeln!(out, "\n1 chart(s) linted, {} chart(s) failed", usize::from(failed))?;
    Ok(!failed)
}
