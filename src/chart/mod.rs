//! Charts: loaded from a tree of files, their values coalesced, their templates
//! rendered into manifests in install order, byte for byte as `helm template`.
//!
//! Loading keeps everything a render needs, so that one loaded chart serves any
//! number of renders. What comes from outside (cluster, time, randomness) is
//! lent by the caller through [`RenderInputs`].

mod archive;
mod capabilities;
mod context;
mod dependencies;
mod files;
mod ignore;
mod lint;
mod load;
mod manifests;
mod metadata;
mod render;

use std::sync::{Arc, OnceLock};

pub use capabilities::{Capabilities, KubeVersion};
pub(crate) use ignore::path_match;
pub use lint::{Finding, Severity, lint};
pub use load::ChartError;
pub use manifests::{RenderedManifest, is_test_hook, split_documents};
pub use metadata::{Dependency, Maintainer, Metadata};
pub use render::{
    Clock, Entropy, InvalidValue, Lookup, LookupError, Release, RenderError, RenderInputs, Rendered, render,
};

use crate::{
    template::{Parsed, TemplateError},
    values::{Table, Values},
};

/// A file of a chart.
#[derive(Clone, Debug)]
pub struct ChartFile {
    /// The path inside the chart, such as `templates/service.yaml`.
    pub name: String,
    /// The content.
    pub data: Arc<[u8]>,
}

/// A template of a chart. It is parsed by the first render and kept for the
/// others.
#[derive(Clone, Debug)]
struct Template {
    name: String,
    text: Arc<str>,
    parsed: Arc<OnceLock<(String, Result<Parsed, TemplateError>)>>,
}

impl Template {
    fn new(name: String, text: String) -> Self {
        Self { name, text: text.into(), parsed: Arc::default() }
    }

    /// The template under its full name, such as `redis/templates/pvc.yaml`.
    fn parse(&self, full_name: &str) -> Result<Parsed, TemplateError> {
        let parse = || Parsed::new(full_name, &self.text);
        let (known, parsed) = self.parsed.get_or_init(|| (full_name.to_owned(), parse()));
        // A chart that is used twice, under an alias, has another name there.
        if known == full_name { parsed.clone() } else { parse() }
    }
}

/// A chart with its dependencies.
#[derive(Clone, Debug)]
pub struct Chart {
    metadata: Metadata,
    /// Below `templates/`.
    templates: Vec<Template>,
    /// All others that templates can read.
    files: Vec<ChartFile>,
    /// The defaults, parsed.
    values: Table,
    /// The defaults as text, to name places in them.
    values_text: String,
    schema: Option<String>,
    dependencies: Vec<Chart>,
}

impl Chart {
    /// What `Chart.yaml` says.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The charts below `charts/`.
    pub fn dependencies(&self) -> &[Self] {
        &self.dependencies
    }

    /// The chart's own defaults.
    pub fn values(&self) -> &Table {
        &self.values
    }

    /// Files of this chart besides templates, values and metadata.
    pub fn files(&self) -> &[ChartFile] {
        &self.files
    }

    /// Whether it only offers definitions to other charts.
    pub fn is_library(&self) -> bool {
        self.metadata.kind.eq_ignore_ascii_case("library")
    }
}

/// The values a render would see: the defaults of the chart and its
/// dependencies under what the user gives.
pub fn effective_values(chart: &Chart, given: &Values) -> Result<Table, dependencies::NotATable> {
    let mut warnings = Vec::new();
    let processed = dependencies::process(chart, given.table(), &mut warnings)?;
    dependencies::coalesce(&processed, given.table().clone(), false)
}

#[cfg(test)]
mod tests;
