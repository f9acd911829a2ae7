//! Memory and tables of one instance, summed over all its core instances.

use wasmtime::ResourceLimiter;

/// Counts what an instance holds. A growth that is refused is remembered: the guest then fails in
/// its own way, and the failure can name the cause.
#[derive(Debug)]
pub(super) struct MemoryLimiter {
    pub(super) memory_limit: usize,
    pub(super) table_limit: usize,
    memory: usize,
    tables: usize,
    pub(super) denied: Option<Denied>,
}

/// A growth that was refused.
#[derive(Debug, Clone, Copy)]
pub(super) struct Denied {
    pub(super) what: &'static str,
    /// The policy's key.
    pub(super) key: &'static str,
    pub(super) limit: usize,
}

impl MemoryLimiter {
    pub(super) fn new(memory_limit: usize, table_limit: usize) -> MemoryLimiter {
        MemoryLimiter {
            memory_limit,
            table_limit,
            memory: 0,
            tables: 0,
            denied: None,
        }
    }

    /// Bytes of linear memory held now.
    pub(super) fn memory(&self) -> usize {
        self.memory
    }

    /// Table elements held now.
    pub(super) fn tables(&self) -> usize {
        self.tables
    }
}

impl ResourceLimiter for MemoryLimiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // What the guest's own maximum will refuse takes nothing.
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let total = self.memory.saturating_add(desired.saturating_sub(current));
        if total > self.memory_limit {
            self.denied = Some(Denied {
                what: "bytes of memory",
                key: "memory",
                limit: self.memory_limit,
            });
            return Ok(false);
        }
        self.memory = total;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // What the guest's own maximum will refuse takes nothing.
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let total = self.tables.saturating_add(desired.saturating_sub(current));
        if total > self.table_limit {
            self.denied = Some(Denied {
                what: "table elements",
                key: "table-elements",
                limit: self.table_limit,
            });
            return Ok(false);
        }
        self.tables = total;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use wasmtime::ResourceLimiter as _;

    use super::MemoryLimiter;

    #[test]
    fn what_the_guests_own_maximum_refuses_is_not_counted() {
        let mut limiter = MemoryLimiter::new(100, 100);
        assert!(!limiter.memory_growing(0, 60, Some(50)).unwrap());
        assert!(!limiter.table_growing(0, 60, Some(50)).unwrap());
        assert_eq!((limiter.memory(), limiter.tables()), (0, 0));
        assert!(limiter.denied.is_none());
        assert!(limiter.memory_growing(0, 50, Some(50)).unwrap());
        assert_eq!(limiter.memory(), 50);
    }
}
