//! Golden plans and what no plan may ever do. See `README.md` beside this file.

mod case;
mod properties;
mod server;

use std::{env, fs, path::Path};

#[test]
fn golden_plans() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plan/cases");
    let mut files: Vec<_> =
        fs::read_dir(&folder).expect("the cases").map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    let mut wrong = Vec::new();
    let mut count = 0;
    for file in files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "yaml")) {
        count += 1;
        let text = case::Case::read(file).plan_text();
        let expected = file.with_extension("plan");
        if env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&expected, &text).expect("the expectation is written");
        }
        let known = fs::read_to_string(&expected).unwrap_or_default();
        if known != text {
            wrong.push(format!("{}\n--- expected\n{known}\n--- found\n{text}", file.display()));
        }
    }
    assert!(count > 0, "no cases in {}", folder.display());
    assert!(wrong.is_empty(), "{} of {count} plans differ:\n{}", wrong.len(), wrong.join("\n"));
}
