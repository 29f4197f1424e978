//! `diff`: what would change in the cluster.

use std::{collections::BTreeMap, io::Write};

use super::{CliError, ConfigFile, Output, environment, mask_key, print, render::unusable, source::Source};
use crate::{
    cluster::{Cluster, Connection, InventoryName, StoredInventory},
    config::Config,
    diff::Redactor,
    environment::Environment,
    plan::{self, Inputs, Plan, Policy, RedisFacts, Verb},
    reconcile::{DryRuns, Observer, Questions, Watches, desired_state, facts, live_context},
    snapshot::Snapshot,
};

/// Print what would change in the cluster if the branch's tip (or --source) were
/// applied now: the daemon's own plan, by server-side dry-run. Changes nothing.
///
/// Exit code: 0 no difference, 1 a difference or a refusal, 2 an error.
#[derive(Debug, clap::Args)]
pub struct Diff {
    /// The environment.
    environment: String,
    #[command(flatten)]
    config: ConfigFile,
    #[command(flatten)]
    source: Source,
    /// How to print.
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

impl Diff {
    pub(super) async fn run(self, out: &mut dyn Write) -> Result<u8, CliError> {
        let config = self.config.load()?;
        let environment = environment(&config, &self.environment)?;
        let files = self.source.files(&config, environment).await?;
        let plan = plan_once(&config, environment, &files.snapshot).await?;
        let text = match self.output {
            Output::Text => plan::render_text(&plan),
            Output::Json => format!("{:#}\n", serde_json::to_value(&plan).unwrap_or_default()),
        };
        print(out, &text)?;
        let differs = plan.actions.iter().any(|action| action.verb != Verb::Unchanged);
        Ok(u8::from(differs))
    }
}

async fn plan_once(config: &Config, environment: &Environment, snapshot: &Snapshot) -> Result<Plan, CliError> {
    let connection =
        Connection { kubeconfig: config.kubernetes.kubeconfig.clone(), context: config.kubernetes.context.clone() };
    let cluster = Cluster::connect(&connection, std::sync::Arc::new(|_, _| {})).await?;
    let desired = {
        let (cluster, environment, snapshot) = (cluster.clone(), environment.clone(), snapshot.clone());
        live_context(cluster, &Questions::default(), move |context| desired_state(&environment, &snapshot, context))
            .await
            .map_err(unusable)?
    };
    let name = InventoryName {
        environment: environment.name.to_string(),
        namespace: environment.namespace.to_string(),
        release: environment.release.to_string(),
    };
    let fresh = format!("{:032x}", u128::from_ne_bytes(mask_key()));
    let StoredInventory { inventory, salt, .. } = cluster.load_inventory(&name, fresh).await?;
    let watches = Watches::new(cluster.clone(), config.kubernetes.scope);
    let observer = Observer {
        cluster: &cluster,
        watches: &watches,
        environment: environment.name.as_str(),
        salt: salt.as_bytes(),
        ignore: &environment.ignore,
    };
    let live = observer.observe(&desired, &inventory, &mut DryRuns::default()).await;
    let stated = desired.manifests.iter().filter(|m| m.key.kind == "Secret").map(|m| &m.body);
    let held = live.objects.iter().filter(|(key, _)| key.kind == "Secret").filter_map(|(_, object)| object.live());
    let redactor = Redactor::new(salt.as_bytes(), stated.chain(held))?;
    let policy = Policy {
        environment: environment.name.to_string(),
        drift: environment.drift,
        prune: environment.prune,
        throw_away: environment.throw_away,
        ignore: environment.ignore.clone(),
    };
    Ok(plan::plan(&Inputs {
        policy: &policy,
        desired: &desired,
        live: &live,
        inventory: &inventory,
        unstable: &BTreeMap::new(),
        salt: salt.as_bytes(),
        cluster: &facts::of_cluster(&cluster, environment.namespace.as_str()).await,
        redis: &RedisFacts::default(),
        redactor: &redactor,
    }))
}
