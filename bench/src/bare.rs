//! What "bare wasmtime" means in this benchmark: the same component, the same engine and pool as
//! the host's, the same typed call with the same event, and nothing else. No budgets, no policy,
//! no admission, no reply envelope; WASI is linked with an empty context because the component
//! imports it, Conche's own imports trap.

use anyhow::{Result, anyhow, bail};
use conche::envelope::{CloudEvent, Payload};
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, InstancePre, Linker};
use wasmtime::{Engine, Store};
use wasmtime_wasi::{ResourceTable, WasiCtx, WasiCtxView, WasiView};

use bindings::conche::handler::types::{EventParam, Matched, PayloadParam};
use bindings::exports::conche::handler::query_handler;

mod bindings {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "plugin",
        exports: { default: async },
        ownership: Borrowing { duplicate_if_necessary: true },
    });
}

/// The epoch goes on, since the host's ticker drives the engine; nobody counts it here.
const NO_DEADLINE: u64 = u64::MAX / 2;

/// A component that is compiled and linked.
pub(crate) struct Bare {
    pre: InstancePre<State>,
    indices: query_handler::GuestIndices,
}

/// One instance.
pub(crate) struct BareInstance {
    store: Store<State>,
    guest: query_handler::Guest,
}

struct State {
    wasi: WasiCtx,
    table: ResourceTable,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl Bare {
    pub(crate) fn new(engine: &Engine, component: &[u8]) -> wasmtime::Result<Bare> {
        let component = Component::from_binary(engine, component)?;
        let mut linker = Linker::new(engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        trap_on_own_imports(&mut linker, &component)?;
        let pre = linker.instantiate_pre(&component)?;
        component.initialize_copy_on_write_image()?;
        Ok(Bare {
            indices: query_handler::GuestIndices::new(&pre)?,
            pre,
        })
    }

    pub(crate) async fn instantiate(&self) -> wasmtime::Result<BareInstance> {
        let state = State {
            wasi: WasiCtx::builder().build(),
            table: ResourceTable::new(),
        };
        let mut store = Store::new(self.pre.engine(), state);
        store.set_epoch_deadline(NO_DEADLINE);
        let instance = self.pre.instantiate_async(&mut store).await?;
        let guest = self.indices.load(&mut store, &instance)?;
        Ok(BareInstance { store, guest })
    }
}

/// Not on all that is unknown: WASI's interfaces are known under versions that are close enough.
fn trap_on_own_imports(linker: &mut Linker<State>, component: &Component) -> wasmtime::Result<()> {
    let engine = linker.engine().clone();
    for (name, import) in component.component_type().imports(&engine) {
        let ComponentItem::ComponentInstance(interface) = import.ty else {
            continue;
        };
        if !name.starts_with("conche:") {
            continue;
        }
        let mut instance = linker.instance(name)?;
        for (function, export) in interface.exports(&engine) {
            if matches!(export.ty, ComponentItem::ComponentFunc(_)) {
                instance.func_new(function, |_, _, _, _| {
                    wasmtime::bail!("the bare call has no host")
                })?;
            }
        }
    }
    Ok(())
}

impl BareInstance {
    /// # Errors
    /// Anything but a reply.
    pub(crate) async fn call(&mut self, handler: &str, query: &CloudEvent) -> Result<()> {
        let matched = Matched {
            handler,
            listener: None,
            state: None,
        };
        let Some(Payload::Json(json)) = &query.data else {
            bail!("the greeter's query has JSON");
        };
        let event = EventParam {
            id: &query.id,
            source: &query.source,
            type_: &query.ty,
            time: query.time.as_deref(),
            subject: None,
            datacontenttype: query.datacontenttype.as_deref(),
            dataschema: None,
            transaction_id: query.transaction_id("transactionid"),
            extensions: &[],
            data: Some(PayloadParam::Json(json)),
        };
        let guest = self.guest.clone();
        let called = guest.call_handle(&mut self.store, matched, event).await;
        match called.map_err(|error| anyhow!("the bare call failed: {error:#}"))? {
            Ok(Some(_)) => Ok(()),
            Ok(None) => bail!("the bare call was not answered"),
            Err(fault) => bail!("the bare call was answered with {}", fault.message),
        }
    }
}
