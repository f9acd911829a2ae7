//! How the engine compiles, and the pool that instances come from: its sizes, and what of a used
//! slot stays in memory for the next instance.

use tracing::{info, warn};
use wasmtime::{
    Config, Enabled, Engine, Instance, InstanceAllocationStrategy, Module, PoolingAllocationConfig,
    Store,
};

use super::SandboxSettings;

/// The most component instances there can be, whatever is asked for. Each has two memories of
/// 4 GiB of address space, and x86-64 has 128 TiB in all.
const INSTANCES_MAX: u32 = 8_000;

/// Memories that one component may have. What one toolchain builds has one, JavaScript's two; what is
/// composed of two components has as many as both.
const MEMORIES_PER_COMPONENT: u32 = 4;

/// Tables that one component may have: what one toolchain builds has 2.
const TABLES_PER_COMPONENT: u32 = 8;

/// Core instances that one component may have: a Rust guest has 3, Python with everything more than
/// 20, and one more for each native extension. They take no room of their own.
const CORE_INSTANCES_PER_COMPONENT: u32 = 60;

/// In the pool, so many component instances share what one may have at the most. There are four for
/// each slot: if each slot holds the largest component there is, half of the pool is left for those
/// that are tried out, and no plugin's calls take another's room.
const SHARED_BY: u32 = 2;

/// The stack of a guest, in bytes, and of the fiber that it runs on.
const GUEST_STACK_BYTES: usize = 512 << 10;
const FIBER_STACK_BYTES: usize = 1 << 20;

/// Of each memory that was written to, so many bytes are written back to what they were and stay;
/// the rest goes to the system and comes back by page faults. A Rust or C call dirties some 40 KiB.
const MEMORY_KEPT_BYTES: usize = 256 << 10;

/// As [`MEMORY_KEPT_BYTES`], of each table: 2,048 elements.
const TABLE_KEPT_BYTES: usize = 16 << 10;

/// A core module with one page of memory, exported as `m`, that begins with `ok`.
const MEMORY_MODULE: &[u8] =
    b"\0asm\x01\0\0\0\x05\x03\x01\0\x01\x07\x05\x01\x01m\x02\0\x0b\x08\x01\0\x41\0\x0b\x02ok";

/// How a slot becomes what it was before an instance used it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reset {
    /// The system takes its memory away; the next instance faults it in again.
    TakeAll,
    /// The kernel is asked which pages were written to, and these are written back.
    WriteBack,
}

/// The engine, with the fastest pool that is safe here. A fresh Rust instance with its call takes
/// 30 us with wasmtime's own settings, 22 us with [`Reset::TakeAll`], 10 us with
/// [`Reset::WriteBack`].
pub(super) fn start(settings: &SandboxSettings) -> wasmtime::Result<Engine> {
    if written_pages_are_known() {
        let engine = Engine::new(&config(settings, Reset::WriteBack))?;
        if slots_come_back_clean(&engine)? {
            return Ok(engine);
        }
        warn!("this kernel does not say which pages were written to: fresh instances start slower");
    }
    Engine::new(&config(settings, Reset::TakeAll))
}

fn config(settings: &SandboxSettings, reset: Reset) -> Config {
    let mut config = Config::new();
    config
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool(settings, reset)))
        .epoch_interruption(true)
        .max_wasm_stack(GUEST_STACK_BYTES)
        .async_stack_size(FIBER_STACK_BYTES)
        // Many reloads: registering unwind tables with the system gets slower with each.
        .native_unwind_info(false);
    config
}

fn pool(settings: &SandboxSettings, reset: Reset) -> PoolingAllocationConfig {
    let instances = settings.instances.min(INSTANCES_MAX);
    // One component alone can be as large as it may, however few instances there are.
    let in_all = |of_one: u32| (instances * of_one / SHARED_BY).max(of_one);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_core_instances(in_all(CORE_INSTANCES_PER_COMPONENT))
        .total_memories(in_all(MEMORIES_PER_COMPONENT))
        .total_tables(in_all(TABLES_PER_COMPONENT))
        .total_stacks(instances)
        .max_core_instances_per_component(CORE_INSTANCES_PER_COMPONENT)
        .max_memories_per_component(MEMORIES_PER_COMPONENT)
        .max_tables_per_component(TABLES_PER_COMPONENT)
        .max_memory_size(settings.memory_bytes)
        .table_elements(settings.table_elements)
        // Tables are short: to write one back costs less than the faults.
        .table_keep_resident(TABLE_KEPT_BYTES);
    if reset == Reset::WriteBack {
        // Without the scan the kept part would be written blindly, which costs more than it saves.
        pool.pagemap_scan(Enabled::Yes)
            .linear_memory_keep_resident(MEMORY_KEPT_BYTES);
    }
    pool
}

/// Whether the kernel can say which pages were written to, and all of them: one that lies in swap
/// is not among them, and would show the next instance what the last one wrote. Swap that is
/// switched on later is not seen.
fn written_pages_are_known() -> bool {
    #[cfg(target_os = "linux")]
    if PoolingAllocationConfig::is_pagemap_scan_available() {
        let has_swap = rustix::system::sysinfo().totalswap > 0;
        if has_swap {
            info!("this machine has swap: fresh instances start slower than they could");
        }
        return !has_swap;
    }
    false
}

/// Tries it: wasmtime believes what the kernel says, and a kernel that calls fewer pages written
/// than this one does would leave all of them as they are.
fn slots_come_back_clean(engine: &Engine) -> wasmtime::Result<bool> {
    let module = Module::new(engine, MEMORY_MODULE)?;
    let (first, _) = use_slot(engine, &module)?;
    let (second, is_clean) = use_slot(engine, &module)?;
    Ok(first == second && is_clean)
}

/// Writes over all of an instance's memory. Where it was, and whether it was clean before.
fn use_slot(engine: &Engine, module: &Module) -> wasmtime::Result<(usize, bool)> {
    let mut store = Store::new(engine, ());
    let instance = Instance::new(&mut store, module, &[])?;
    let Some(memory) = instance.get_memory(&mut store, "m") else {
        return Ok((0, false));
    };
    let slot = memory.data_ptr(&store) as usize;
    let bytes = memory.data_mut(&mut store);
    let is_clean = bytes.starts_with(b"ok") && bytes[2..].iter().all(|byte| *byte == 0);
    bytes.fill(0xa5);
    Ok((slot, is_clean))
}

#[cfg(test)]
mod tests {
    use super::{Reset, SandboxSettings, config, slots_come_back_clean, start};
    use wasmtime::Engine;

    #[test]
    fn a_used_slot_is_the_next_ones_and_clean() {
        let settings = SandboxSettings {
            instances: 4,
            memory_bytes: 1 << 20,
            table_elements: 100,
            cache: None,
        };
        let plain = Engine::new(&config(&settings, Reset::TakeAll)).unwrap();
        assert!(slots_come_back_clean(&plain).unwrap());
        assert!(slots_come_back_clean(&start(&settings).unwrap()).unwrap());
    }

    #[test]
    fn more_instances_than_there_is_address_space_for_are_not_reserved() {
        let settings = SandboxSettings {
            instances: u32::MAX,
            memory_bytes: 256 << 20,
            table_elements: 40_000,
            cache: None,
        };
        start(&settings).unwrap();
    }
}
