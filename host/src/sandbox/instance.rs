//! One instance of a plugin: a store with its guest, one call at a time. After any failure it is
//! dropped; wasmtime would refuse to enter it again.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmtime::{Store, component};

use super::bindings::conche::handler::types as wit;
use super::bindings::exports::conche::handler::{event_handler, query_handler};
use super::clock::{self, CpuClock};
use super::failure::Failure;
use super::registrations::{Registering, Registrations};
use super::state::{Phase, State};
use super::{
    Call, Compiled, Effects, EventOutcome, QueryOutcome, Tenant, Verdict, convert, guest_log,
};
use crate::envelope::{CloudEvent, new_id, now};
use crate::text::{REASON_MAX, cut};

/// Beside two messages' worth of bytes, what one host call may carry.
const HOSTCALL_FUEL_BASE: usize = 1 << 20;

/// A store with an instantiated guest.
pub(crate) struct Instance {
    store: Store<State>,
    guest: component::Instance,
    query: Option<query_handler::Guest>,
    event: Option<event_handler::Guest>,
    clock: CpuClock,
    fuel: usize,
    calls: u64,
}

impl std::fmt::Debug for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Instance")
            .field("calls", &self.calls)
            .finish_non_exhaustive()
    }
}

/// A call that is cut off at its deadline ends here: what it printed says where it hung.
impl Drop for Instance {
    fn drop(&mut self) {
        let state = self.store.data_mut();
        if !matches!(state.phase, Phase::Idle) {
            guest_log::flush_output(state);
        }
    }
}

impl Instance {
    /// A fresh instance; boxed, since it goes from shelf to call and back. Component start functions
    /// run here, on budgets of their own.
    pub(crate) async fn start(
        compiled: &Compiled,
        tenant: &Arc<Tenant>,
    ) -> Result<Box<Instance>, Failure> {
        let started = Instance::try_start(compiled, tenant).await;
        match started {
            // A component of many modules fills the pool sooner than its instances are counted.
            Err(Failure::NoRoom { .. }) if compiled.shelves.clear() => {
                Instance::try_start(compiled, tenant).await
            }
            started => started,
        }
    }

    async fn try_start(
        compiled: &Compiled,
        tenant: &Arc<Tenant>,
    ) -> Result<Box<Instance>, Failure> {
        let fuel = 2 * tenant.outbound.max_payload() + HOSTCALL_FUEL_BASE;
        let began = Instant::now();
        let clock = CpuClock::new();
        let state = State::new(tenant.clone(), clock.clone());
        let mut store = Store::new(compiled.pre.engine(), state);
        store.limiter(|state| &mut state.memory);
        store.set_hostcall_fuel(fuel);
        store.set_max_component_handles(tenant.policy.limits.handles);
        clock::watch(&mut store);
        let started = clock
            .measure(began, pin!(compiled.pre.instantiate_async(&mut store)))
            .await;
        let loaded = started.and_then(|guest| {
            let query = compiled.query.as_ref();
            let query = query.map(|indices| indices.load(&mut store, &guest));
            let event = compiled.event.as_ref();
            let event = event.map(|indices| indices.load(&mut store, &guest));
            Ok((guest, query.transpose()?, event.transpose()?))
        });
        match loaded {
            Ok((guest, query, event)) => {
                if let Some(stage) = &tenant.stage {
                    stage.started(began.elapsed(), &store.data().memory);
                }
                Ok(Box::new(Instance {
                    store,
                    guest,
                    query,
                    event,
                    clock,
                    fuel,
                    calls: 0,
                }))
            }
            Err(error) => Err(match failed(&mut store, &error, fuel) {
                Failure::Trapped { reason } => Failure::NotStarted { reason },
                other => other,
            }),
        }
    }

    /// Runs `register`. The caller sets the deadline, and drops the instance afterwards.
    pub(crate) async fn register(
        &mut self,
        compiled: &Compiled,
    ) -> Result<Result<Registrations, String>, Failure> {
        let limit = self.store.data().tenant.policy.limits.registrations;
        self.begin(Phase::Registering(Box::new(Registering::new(limit))));
        let lifecycle = compiled.lifecycle.load(&mut self.store, &self.guest);
        let lifecycle = lifecycle.map_err(|error| failed(&mut self.store, &error, self.fuel))?;
        let result = self
            .clock
            .measure(
                Instant::now(),
                pin!(lifecycle.call_register(&mut self.store)),
            )
            .await;
        let answer = self.finish(result)?;
        let state = self.store.data_mut();
        let Phase::Registering(registering) = std::mem::replace(&mut state.phase, Phase::Idle)
        else {
            return Ok(Err("register ended in another phase".into()));
        };
        Ok(match answer {
            Err(text) => Err(format!("register failed: {}", cut(&text, REASON_MAX))),
            Ok(()) => registering.finish(),
        })
    }

    /// Hands a query to the guest. The caller sets the deadline; dropping the future mid-call
    /// makes the instance unusable.
    pub(crate) async fn query(
        &mut self,
        tenant: &Tenant,
        call: &Call<'_>,
    ) -> Result<QueryOutcome, Failure> {
        let Some(guest) = self.query.clone() else {
            return Err(no_export("query-handler"));
        };
        let began = self.begin_call(call);
        let attribute = &tenant.config.compat.transaction_attribute;
        let extensions = convert::extensions(call.event, attribute);
        let event = convert::event(call.event, &extensions, attribute);
        let result = self
            .clock
            .measure(
                began,
                pin!(guest.call_handle(&mut self.store, matched(call), event)),
            )
            .await;
        let answer = self.finish(result)?;
        let effects = self.take_effects();
        Ok(match answer {
            Ok(reply) => QueryOutcome {
                answer: Ok(reply.map(|reply| reply_event(reply, call, tenant))),
                effects,
            },
            Err(fault) => QueryOutcome {
                answer: Err(convert::fault(fault)),
                effects: Effects::default(),
            },
        })
    }

    /// Hands an event to the guest; as [`Instance::query`] otherwise.
    pub(crate) async fn event(
        &mut self,
        tenant: &Tenant,
        call: &Call<'_>,
    ) -> Result<EventOutcome, Failure> {
        let Some(guest) = self.event.clone() else {
            return Err(no_export("event-handler"));
        };
        let began = self.begin_call(call);
        let attribute = &tenant.config.compat.transaction_attribute;
        let extensions = convert::extensions(call.event, attribute);
        let event = convert::event(call.event, &extensions, attribute);
        let result = self
            .clock
            .measure(
                began,
                pin!(guest.call_handle(&mut self.store, matched(call), event)),
            )
            .await;
        let answer = self.finish(result)?;
        let effects = self.take_effects();
        let verdict = match answer {
            Ok(()) => {
                let verdict = Verdict::Done;
                return Ok(EventOutcome { verdict, effects });
            }
            Err(wit::EventError::Reject(fault)) => Verdict::Reject(convert::fault(fault)),
            Err(wit::EventError::Retry(retry)) => Verdict::Retry {
                message: retry.message,
                after: retry
                    .after_ms
                    .map(|ms| Duration::from_millis(u64::from(ms))),
            },
        };
        let effects = Effects::default();
        Ok(EventOutcome { verdict, effects })
    }

    /// Calls served so far.
    pub(crate) fn calls(&self) -> u64 {
        self.calls
    }

    /// Bytes of linear memory that it holds.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.store.data().memory.memory()
    }

    /// When the guest begins: as an instance that was there already, when the call does.
    fn begin_call(&mut self, call: &Call<'_>) -> Instant {
        self.begin(Phase::calling(call));
        if self.calls > 1 {
            call.began.into_std()
        } else {
            Instant::now()
        }
    }

    fn begin(&mut self, phase: Phase) {
        self.calls += 1;
        // The ticks of an idle time are not this call's.
        self.store.set_epoch_deadline(1);
        self.store.data_mut().begin(phase);
    }

    fn finish<T>(&mut self, result: wasmtime::Result<T>) -> Result<T, Failure> {
        let state = self.store.data();
        if let Some(stage) = &state.tenant.stage {
            let cpu = Duration::from_nanos(self.clock.used());
            match state.phase {
                Phase::Registering(_) => stage.registered(cpu, &state.memory),
                _ => stage.called(cpu, &state.memory),
            }
        }
        match result {
            Ok(answer) => {
                guest_log::flush_output(self.store.data_mut());
                Ok(answer)
            }
            Err(error) => Err(failed(&mut self.store, &error, self.fuel)),
        }
    }

    fn take_effects(&mut self) -> Effects {
        match std::mem::replace(&mut self.store.data_mut().phase, Phase::Idle) {
            Phase::Calling(running) => running.effects,
            _ => Effects::default(),
        }
    }
}

fn failed(store: &mut Store<State>, error: &wasmtime::Error, fuel: usize) -> Failure {
    let state = store.data_mut();
    let stderr = guest_log::flush_output(state);
    let denied = state.memory.denied.take();
    let handles = state.tenant.policy.limits.handles;
    Failure::read(error, &stderr, denied, fuel, handles)
}

fn matched<'a>(call: &Call<'a>) -> wit::Matched<'a> {
    wit::Matched {
        handler: call.handler,
        listener: call.listener.map(|heard| heard.id),
        state: call.listener.map(|heard| heard.state),
    }
}

fn no_export(interface: &str) -> Failure {
    Failure::Misused {
        what: format!(
            "registered a handler but exports no conche:handler/{interface}: build it for a world that does"
        ),
    }
}

/// The reply as an event: the query's type and transaction id unless the guest said otherwise.
fn reply_event(reply: wit::Reply, call: &Call<'_>, tenant: &Tenant) -> Box<CloudEvent> {
    let mut event = Box::new(CloudEvent {
        id: new_id(),
        source: tenant.source.clone(),
        ty: reply.type_.unwrap_or_else(|| call.event.ty.clone()),
        time: Some(now()),
        subject: reply.subject,
        datacontenttype: reply.datacontenttype,
        dataschema: reply.dataschema,
        extensions: convert::host_extensions(reply.extensions),
        data: reply.data.map(convert::payload),
    });
    // As it came, even where it is no text.
    let attribute = &tenant.config.compat.transaction_attribute;
    if let Some(id) = call.event.extension(attribute) {
        event.set_extension(attribute, id.clone());
    }
    event
}
