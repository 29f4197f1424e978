//! Reads a chart from a tree of files.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Map, Value};

use super::{Chart, ChartFile, Metadata, Template, archive, ignore::Rules};
use crate::{
    snapshot::{FileTree, ReadError},
    values::{self, ValuesError, yaml},
};

/// Charts inside charts past this depth are refused.
const MAX_DEPTH: usize = 20;

/// A chart could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum ChartError {
    /// A file could not be read.
    #[error("chart {chart}: {cause}")]
    Read {
        /// The chart's folder.
        chart: String,
        /// What failed.
        cause: ReadError,
    },
    /// There is no `Chart.yaml`.
    #[error("chart {chart}: Chart.yaml is missing; a chart is a folder with Chart.yaml and templates/")]
    NoChart {
        /// The chart's folder.
        chart: String,
    },
    /// `Chart.yaml` (or another YAML file of the chart) is malformed.
    #[error("{file}:{}:{}: {}", .cause.line, .cause.column, .cause.message)]
    Yaml {
        /// The file.
        file: String,
        /// What is wrong, and where.
        cause: yaml::YamlError,
    },
    /// `Chart.yaml` lacks something or holds something wrong.
    #[error("{file}: {reason}")]
    Metadata {
        /// The file.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// `values.yaml` is malformed.
    #[error(transparent)]
    Values(#[from] ValuesError),
    /// `.helmignore` holds a rule that Helm refuses.
    #[error("{file}: {reason}")]
    Ignore {
        /// The file.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// A file that must be text is not UTF-8.
    #[error("{file}: the file is not UTF-8 text")]
    NotText {
        /// The file.
        file: String,
    },
    /// A packaged chart cannot be unpacked.
    #[error("{file}: the package cannot be read: {reason}")]
    Package {
        /// The archive.
        file: String,
        /// Why.
        reason: String,
    },
    /// Dependencies are nested too deep.
    #[error("chart {chart}: charts are nested deeper than {MAX_DEPTH} levels")]
    Nested {
        /// The innermost chart.
        chart: String,
    },
}

pub(super) type Files = Vec<(String, Arc<[u8]>)>;

impl Chart {
    /// Loads the chart in the folder (or package) `path` of `tree`, with the
    /// charts below its `charts/`. `.helmignore` is honoured in folders.
    pub fn load(tree: &dyn FileTree, path: &str) -> Result<Self, ChartError> {
        let read_error = |cause| ChartError::Read { chart: path.to_owned(), cause };
        if path.ends_with(".tgz")
            && let Some(data) = tree.read(path).map_err(read_error)?
        {
            return assemble(path, unpack(path, &data)?, 0);
        }
        let prefix =
            if path.is_empty() || path == "." { String::new() } else { format!("{}/", path.trim_end_matches('/')) };
        let mut names = tree.list(prefix.trim_end_matches('/')).map_err(read_error)?;
        names.sort();
        let ignore_file = format!("{prefix}.helmignore");
        let rules = match tree.read(&ignore_file).map_err(read_error)? {
            Some(data) => Rules::parse(&String::from_utf8_lossy(&data)),
            None => Rules::parse(""),
        };
        let rules = rules.map_err(|reason| ChartError::Ignore { file: ignore_file, reason })?;
        let mut files = Files::new();
        for name in &names {
            let Some(inner) = name.strip_prefix(&prefix) else { continue };
            if rules.ignores(inner) {
                continue;
            }
            if let Some(data) = tree.read(name).map_err(read_error)? {
                let data = data.strip_prefix("\u{feff}".as_bytes()).map_or(Arc::clone(&data), Arc::from);
                files.push((inner.to_owned(), data));
            }
        }
        assemble(prefix.trim_end_matches('/'), files, 0)
    }
}

fn unpack(file: &str, data: &[u8]) -> Result<Files, ChartError> {
    archive::unpack(data).map_err(|reason| ChartError::Package { file: file.to_owned(), reason })
}

fn text(folder: &str, name: &str, data: &[u8]) -> Result<String, ChartError> {
    String::from_utf8(data.to_vec()).map_err(|_| ChartError::NotText { file: join(folder, name) })
}

fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

fn yaml_table(folder: &str, name: &str, data: &[u8]) -> Result<Map<String, Value>, ChartError> {
    let file = join(folder, name);
    let json = yaml::read(&text(folder, name, data)?, yaml::Numbers::Exact)
        .map_err(|cause| ChartError::Yaml { file: file.clone(), cause })?;
    match json {
        Value::Object(table) => Ok(table),
        Value::Null => Ok(Map::new()),
        _ => Err(ChartError::Metadata { file, reason: "the file must hold a table".to_owned() }),
    }
}

/// Builds a chart from its files, whose names are relative to it.
fn assemble(folder: &str, files: Files, depth: usize) -> Result<Chart, ChartError> {
    if depth > MAX_DEPTH {
        return Err(ChartError::Nested { chart: folder.to_owned() });
    }
    let bad = |name: &str, reason| ChartError::Metadata { file: join(folder, name), reason };
    let Some((_, data)) = files.iter().find(|(name, _)| name == "Chart.yaml") else {
        return Err(ChartError::NoChart { chart: folder.to_owned() });
    };
    let metadata = Metadata::read(&yaml_table(folder, "Chart.yaml", data)?).map_err(|r| bad("Chart.yaml", r))?;
    let mut chart = Chart {
        metadata,
        templates: Vec::new(),
        files: Vec::new(),
        values: values::Table::new(),
        values_text: String::new(),
        schema: None,
        dependencies: Vec::new(),
    };
    let mut inner: BTreeMap<String, Files> = BTreeMap::new();
    for (name, data) in files {
        if let Some(rest) = name.strip_prefix("charts/")
            && !name.ends_with(".prov")
        {
            let (child, rest) = rest.split_once('/').unwrap_or((rest, ""));
            inner.entry(child.to_owned()).or_default().push((rest.to_owned(), data));
            continue;
        }
        place(&mut chart, folder, name, data)?;
    }
    chart.metadata.validate().map_err(|reason| bad("Chart.yaml", reason))?;
    for (child, files) in inner {
        let folder = join(folder, &format!("charts/{child}"));
        if child.starts_with(['_', '.']) {
            continue;
        }
        let files = match files.as_slice() {
            [(name, data)] if name.is_empty() && child.ends_with(".tgz") => unpack(&folder, data)?,
            _ => files.into_iter().filter(|(name, _)| !name.is_empty()).collect(),
        };
        chart.dependencies.push(assemble(&folder, files, depth + 1)?);
    }
    Ok(chart)
}

/// Puts one file where it belongs.
fn place(chart: &mut Chart, folder: &str, name: String, data: Arc<[u8]>) -> Result<(), ChartError> {
    match name.as_str() {
        "Chart.yaml" | "Chart.lock" => {}
        "values.yaml" => {
            let content = text(folder, &name, &data)?;
            chart.values = values::read_table(&join(folder, &name), &content)?;
            chart.values_text = content;
        }
        "values.schema.json" => chart.schema = Some(text(folder, &name, &data)?),
        "requirements.yaml" => {
            let table = yaml_table(folder, &name, &data)?;
            let file = join(folder, &name);
            chart.metadata.read_requirements(&table).map_err(|reason| ChartError::Metadata { file, reason })?;
            if chart.metadata.api_version == "v1" {
                chart.files.push(ChartFile { name, data });
            }
        }
        "requirements.lock" if chart.metadata.api_version != "v1" => {}
        _ if name.starts_with("templates/") => {
            let content = text(folder, &name, &data)?;
            chart.templates.push(Template::new(name, content));
        }
        _ => chart.files.push(ChartFile { name, data }),
    }
    Ok(())
}
