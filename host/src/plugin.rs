//! A loaded version of a plugin: its component, policy and registrations, and the instances kept
//! for its next calls. Must not know the registry or where calls come from.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::task::coop::unconstrained;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::admission::Lanes;
use crate::metrics::{Metrics, PluginMetrics};
use crate::outbound::watch::Watch;
use crate::policy::{InstanceMode, PluginName, Policy};
use crate::sandbox::{
    Call, Compiled, Digest, EventOutcome, Failure, Instance, QueryOutcome, Registrations, Shelf,
    Tenant,
};

/// Calls that may wait for one of a plugin's slots.
const WAITING_MAX: usize = 1024;

/// One plugin at one digest with one policy.
#[derive(Debug)]
pub struct Plugin {
    compiled: Compiled,
    tenant: Arc<Tenant>,
    registrations: Registrations,
    lanes: Lanes,
    metrics: PluginMetrics,
    idle: Arc<Shelf<Box<Instance>>>,
}

/// Why a version's `register` brought no registrations.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// It said so itself, or declared something that cannot be.
    #[error("{0}")]
    Refused(String),
    /// It trapped, or used more than a call may.
    #[error("register {0}")]
    Failed(#[from] Failure),
    /// Wall time, instantiation included.
    #[error("register took longer than {limit:?}: raise register-deadline in [limits], or do less")]
    TooSlow {
        /// What the policy allows.
        limit: Duration,
    },
}

impl Plugin {
    /// Instantiates the component once, runs `register`, and drops the instance. What it counts
    /// is shown nowhere, until [`Plugin::counted_by`] says where.
    ///
    /// # Errors
    /// [`RegisterError`]
    pub async fn load(compiled: Compiled, tenant: Tenant) -> Result<Plugin, RegisterError> {
        let tenant = Arc::new(tenant);
        let limit = tenant.policy.limits.register_deadline;
        let tried = async {
            let mut instance = Instance::start(&compiled, &tenant).await?;
            instance.register(&compiled).await
        };
        let registrations = timeout_at(Instant::now() + limit, tried)
            .await
            .map_err(|_| RegisterError::TooSlow { limit })??
            .map_err(RegisterError::Refused)?;
        let handlers = registrations.listeners.clone();
        // It was just made, and nobody else has it.
        let _ = tenant.listener_handlers.set(handlers);
        Ok(Plugin {
            metrics: counters(&tenant, &registrations, &Metrics::new()),
            lanes: Lanes::new(tenant.policy.limits.concurrency, WAITING_MAX),
            idle: compiled.shelf(),
            compiled,
            tenant,
            registrations,
        })
    }

    /// The same, counted among others: for a version that will serve, since series stay.
    #[must_use]
    pub fn counted_by(mut self, metrics: &Metrics) -> Plugin {
        self.metrics = counters(&self.tenant, &self.registrations, metrics);
        self
    }

    /// Its name: the file's stem.
    pub fn name(&self) -> &PluginName {
        &self.tenant.name
    }

    /// Of the component's bytes.
    pub fn digest(&self) -> Digest {
        self.tenant.digest
    }

    /// What it may do.
    pub fn policy(&self) -> &Policy {
        &self.tenant.policy
    }

    /// What `register` declared.
    pub fn registrations(&self) -> &Registrations {
        &self.registrations
    }

    /// The component: what it imports and exports, and how long it took to compile.
    pub fn component(&self) -> &Compiled {
        &self.compiled
    }

    /// Where its exchanges wait for their answers.
    pub fn watch(&self) -> &Watch {
        &self.tenant.watch
    }

    /// What is counted of it.
    pub fn metrics(&self) -> &PluginMetrics {
        &self.metrics
    }

    /// Its own slots.
    pub fn lanes(&self) -> &Lanes {
        &self.lanes
    }

    /// Runs a query handler until it answers, fails, or its deadline passes.
    ///
    /// # Errors
    /// [`Failure`]: there is no outcome, and the instance is gone.
    pub async fn query(&self, call: &Call<'_>) -> Result<QueryOutcome, Failure> {
        // Pinned here, and within: to move them would cost more than they do.
        let run = pin!(async {
            let mut instance = self.instance(call.attempt).await?;
            let outcome = pin!(instance.query(&self.tenant, call)).await?;
            self.put_back(instance);
            Ok(outcome)
        });
        self.in_time(run, call).await
    }

    /// Runs an event handler; as [`Plugin::query`] otherwise.
    ///
    /// # Errors
    /// [`Failure`]
    pub async fn event(&self, call: &Call<'_>) -> Result<EventOutcome, Failure> {
        // As in `query`.
        let run = pin!(async {
            let mut instance = self.instance(call.attempt).await?;
            let outcome = pin!(instance.event(&self.tenant, call)).await?;
            self.put_back(instance);
            Ok(outcome)
        });
        self.in_time(run, call).await
    }

    /// An idle instance, or a fresh one. What ran before and failed gets a fresh one.
    async fn instance(&self, attempt: u32) -> Result<Box<Instance>, Failure> {
        if attempt < 2
            && let Some(instance) = self.idle.take()
        {
            return Ok(instance);
        }
        // Boxed: a call of an idle instance would be larger by what only a fresh one needs.
        Box::pin(Instance::start(&self.compiled, &self.tenant)).await
    }

    fn put_back(&self, instance: Box<Instance>) {
        let instances = &self.tenant.policy.instances;
        let reuse = self.registrations.reusable
            && instances.mode == InstanceMode::Auto
            && instance.calls() < instances.max_calls
            && instance.memory_bytes() <= instances.memory_mark_bytes;
        if reuse {
            self.idle.put(instance, instances.idle_max as usize);
        }
    }

    /// The outcome, or that the time is up. What ran is dropped then. The limit is what was left
    /// when the call began, in whole milliseconds: some microseconds went by since it was set.
    async fn in_time<T>(
        &self,
        mut run: Pin<&mut impl Future<Output = Result<T, Failure>>>,
        call: &Call<'_>,
    ) -> Result<T, Failure> {
        // Most calls end in their first poll: they need no timer. What uses up its turn each time is
        // not excused from it.
        let mut deadline = None;
        let in_time = poll_fn(|context| match run.as_mut().poll(context) {
            Poll::Ready(result) => Poll::Ready(Some(result)),
            Poll::Pending => deadline
                .get_or_insert_with(|| Box::pin(unconstrained(sleep_until(call.deadline))))
                .as_mut()
                .poll(context)
                .map(|()| None),
        });
        if let Some(result) = in_time.await {
            return result;
        }
        let left = call.deadline.saturating_duration_since(call.began);
        let left = (left + Duration::from_micros(500)).as_millis();
        Err(Failure::DeadlineExceeded {
            limit: Duration::from_millis(u64::try_from(left).unwrap_or(u64::MAX)),
            of: self.policy().limits.deadline,
        })
    }
}

fn counters(tenant: &Tenant, registrations: &Registrations, metrics: &Metrics) -> PluginMetrics {
    let ops = registrations.queries.iter().map(|(_, op)| op.as_str());
    metrics.plugin(&tenant.name, ops)
}
