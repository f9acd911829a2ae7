//! Ids and times as old and new services write them.

use std::fmt::Write as _;

use chrono::{SecondsFormat, Utc};
use sha2::{Digest as _, Sha256};

/// Of an xid as it is written.
const XID_CHARACTERS: usize = 20;

/// A fresh event id: `cloudevent-` and an xid (20 characters, sorted by second).
pub fn new_id() -> String {
    prefixed("cloudevent-", xid::new())
}

/// A fresh transaction id: `tid-` and an xid.
pub fn new_transaction_id() -> String {
    prefixed("tid-", xid::new())
}

/// A fresh id of a dynamic listener: `listener-` and an xid.
pub fn new_listener_id() -> String {
    prefixed("listener-", xid::new())
}

/// The transaction id that goes with an event id: the same xid. For what begins a transaction, and
/// shall begin the same one when it is sent again.
pub fn transaction_id_of(event_id: &str) -> String {
    let xid = event_id.strip_prefix("cloudevent-").unwrap_or(event_id);
    format!("tid-{xid}")
}

/// An event id made of 12 bytes of a hash, in the form of [`new_id`]: the same bytes, the same id.
pub fn id_from_hash(bytes: [u8; 12]) -> String {
    prefixed("cloudevent-", xid::Id(bytes))
}

/// Now: RFC 3339, UTC, microseconds, `Z`.
pub fn now() -> String {
    Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// A hash of source and id.
pub(super) fn message_id(source: &str, id: &str) -> String {
    let mut hash = Sha256::new();
    hash.update((source.len() as u64).to_le_bytes());
    hash.update(source);
    hash.update(id);
    let digest = hash.finalize();
    digest[..16].iter().map(|b| format!("{b:02x}")).collect()
}

fn prefixed(prefix: &str, id: xid::Id) -> String {
    let mut text = String::with_capacity(prefix.len() + XID_CHARACTERS);
    text.push_str(prefix);
    // Writing to a string cannot fail.
    let _ = write!(text, "{id}");
    text
}

#[cfg(test)]
mod tests {
    use super::{id_from_hash, new_id, new_transaction_id, now};
    use crate::envelope::attribute::check_time;

    #[test]
    fn ids_have_the_old_form() {
        let check = |id: &str, prefix: &str| {
            let xid = id.strip_prefix(prefix).unwrap();
            assert_eq!(xid.len(), 20);
            assert!(xid.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'v')));
        };
        check(&new_id(), "cloudevent-");
        check(&new_transaction_id(), "tid-");
        assert_ne!(new_id(), new_id());
        assert_eq!(id_from_hash([0; 12]), "cloudevent-00000000000000000000");
        // From the documentation of rs/xid.
        let bytes = [
            0x4d, 0x88, 0xe1, 0x5b, 0x60, 0xf4, 0x86, 0xe4, 0x28, 0x41, 0x2d, 0xc9,
        ];
        assert_eq!(id_from_hash(bytes), "cloudevent-9m4e2mr0ui3e8a215n4g");
    }

    #[test]
    fn now_is_rfc_3339_in_utc() {
        let now = now();
        assert_eq!(check_time(&now), Ok(()));
        assert!(now.ends_with('Z') && now.len() == "2021-03-02T05:11:12.123456Z".len());
    }
}
