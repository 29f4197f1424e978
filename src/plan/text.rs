//! A plan as a person reads it: what `redis-gitops diff` and the logs print.

use std::fmt::Write as _;

use serde_json::Value;

use super::{Action, Cause, Plan, Verb};
use crate::{
    consequence::Consequence,
    difference::{Difference, DriftClass},
};

/// Longer values are cut in the middle of a line; the whole is in the JSON form.
const WIDTH: usize = 100;

/// The plan as text, one block per object that is not as Git says.
pub fn render_text(plan: &Plan) -> String {
    let mut out = format!("Plan for commit {}: {}\n", plan.revision.short(), summary(plan));
    for action in &plan.actions {
        if action.verb != Verb::Unchanged || !action.differences.is_empty() || !action.ignored.is_empty() {
            block(&mut out, action);
        }
    }
    if !plan.warnings.is_empty() {
        out.push_str("\nWarnings:\n");
        for warning in &plan.warnings {
            line(&mut out, 2, warning);
        }
    }
    out
}

fn summary(plan: &Plan) -> String {
    let words =
        ["create", "adopt", "update", "delete", "detach", "report", "wait", "refused", "unchanged"].map(|word| {
            let count = plan.actions.iter().filter(|action| action.verb.as_str() == word).count();
            (count > 0).then(|| format!("{count} {word}"))
        });
    let words: Vec<_> = words.into_iter().flatten().collect();
    let words = if words.is_empty() { "no objects".to_owned() } else { words.join(", ") };
    match plan.consequence() {
        Consequence::Nothing => words,
        consequence => format!("{words}; {}", consequence.meaning()),
    }
}

fn block(out: &mut String, action: &Action) {
    let sign = match &action.verb {
        Verb::Create => '+',
        Verb::Adopt | Verb::Update => '~',
        Verb::Delete => '-',
        Verb::Detach | Verb::Unchanged => ' ',
        Verb::Report => '?',
        Verb::Wait { .. } => '.',
        Verb::Refused(_) => '!',
    };
    let cause = match action.cause {
        Cause::Commit => "commit",
        Cause::Drift => "drift",
        Cause::CommitOverDrift => "commit, over drift",
        Cause::LeftGit => "left Git",
        Cause::Steady => "steady",
    };
    out.push('\n');
    line(out, 0, &format!("{sign} {} {} ({cause})", action.verb.as_str(), action.key));
    match &action.verb {
        Verb::Wait { reason } => line(out, 4, reason),
        Verb::Refused(refusal) => {
            line(out, 4, &format!("{}: {}", refusal.guard, refusal.message));
            line(out, 4, &format!("to do: {}", refusal.remedy));
        }
        _ => {}
    }
    if action.consequence != Consequence::Nothing {
        line(out, 4, action.consequence.meaning());
    }
    for difference in action.differences.iter().filter(|difference| !difference.path.is_empty()) {
        line(out, 4, &difference_line(difference, action.take_over.is_some()));
    }
    for path in &action.ignored {
        line(out, 4, &format!("{path}: ignored"));
    }
    let applies = action.differences.iter().any(|difference| difference.class != DriftClass::Overridden);
    if matches!(action.verb, Verb::Adopt | Verb::Update) && !applies {
        line(out, 4, "every value is right; the apply takes ownership of fields");
    }
    if action.take_over.is_some() {
        line(out, 4, "ownership of the fields of others moves to redis-gitops before the apply");
    }
}

fn difference_line(difference: &Difference, taken: bool) -> String {
    let mut text = format!("{}: ", difference.path);
    match (&difference.live, &difference.desired) {
        (Some(live), Some(desired)) => text += &format!("{} -> {}", shown(live), shown(desired)),
        (Some(live), None) => text += &format!("{} -> (none)", shown(live)),
        (None, Some(desired)) => text += &format!("(none) -> {}", shown(desired)),
        (None, None) => text += "(none)",
    }
    text += &format!("  [{}", difference.class);
    if !taken && matches!(difference.class, DriftClass::Undeclared | DriftClass::Foreign) {
        text += ", stays";
    }
    if let Some(writer) = &difference.writer {
        text += &format!(", by {writer}");
    }
    text + "]"
}

fn shown(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= WIDTH {
        return text;
    }
    let head: String = text.chars().take(WIDTH).collect();
    format!("{head}…")
}

fn line(out: &mut String, indent: usize, text: &str) {
    for part in text.lines() {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{:indent$}{part}", "");
    }
}
