//! What exceeds the ceiling or the host, and which secrets the allow-list names.

use super::{Granting, PolicyRules};
use crate::policy::grants::Grant;
use crate::policy::limits::{LIMITS, Limit, MEMORY, TABLE_ELEMENTS};
use crate::policy::raw::{RawGrants, RawPolicy};
use crate::settings::{ExpandError, Mistakes, Problem, Reference, Written};
use crate::subject::SubjectPattern;

impl PolicyRules {
    /// Notes what exceeds the ceiling or the host. `section` is where the policy stands in its
    /// file, with a dot at the end, or nothing.
    pub(super) fn check(&self, raw: &RawPolicy, section: &str, mistakes: &mut Mistakes) {
        if self.granting == Granting::AsWritten {
            self.check_grants(&raw.grants, section, mistakes);
        }
        for limit in LIMITS {
            if let Some(written) = raw.limits.get(limit.key) {
                self.check_limit(limit, written, section, mistakes);
            }
        }
    }

    fn check_grants(&self, raw: &RawGrants, section: &str, mistakes: &mut Mistakes) {
        let ceiling = &self.ceiling.grants;
        for (grant, patterns) in &raw.lists {
            let Some(bound) = ceiling.lists.get(grant) else {
                continue;
            };
            for pattern in &patterns.value {
                if !bound.value.iter().any(|b| b.covers(pattern)) {
                    let why = format!(
                        "\"{pattern}\" is not covered by the ceiling's [{}] ({}): narrow it, or \
                         widen {grant} in [plugins.ceiling.grants]",
                        quoted(&bound.value),
                        bound.origin
                    );
                    let key = format!("{section}grants.{grant}");
                    mistakes.add(patterns.origin.clone(), key, Problem::Other(why));
                }
            }
        }
        let switches = [
            (
                "any-query",
                &raw.any_query,
                &ceiling.any_query,
                Grant::Query,
            ),
            (
                "any-event",
                &raw.any_event,
                &ceiling.any_event,
                Grant::Event,
            ),
        ];
        for (key, written, bound, named) in switches {
            let Some(Written {
                value: true,
                origin,
            }) = written
            else {
                continue;
            };
            let bound = match (bound, ceiling.lists.get(&named)) {
                (Some(bound), _) if bound.value => continue,
                (Some(bound), _) => format!("the ceiling's false ({})", bound.origin),
                // Whoever gets all the others would get those that the list keeps back.
                (None, Some(list)) => {
                    format!("the ceiling, which names {named} alone ({})", list.origin)
                }
                (None, None) => continue,
            };
            let why = format!(
                "true is above {bound}: drop it, or set {key} = true in [plugins.ceiling.grants]"
            );
            let key = format!("{section}grants.{key}");
            mistakes.add(origin.clone(), key, Problem::Other(why));
        }
    }

    fn check_limit(
        &self,
        limit: &Limit,
        written: &Written<u64>,
        section: &str,
        mistakes: &mut Mistakes,
    ) {
        let value = limit.unit.show(written.value);
        let mut refuse = |why| {
            let key = format!("{section}limits.{}", limit.key);
            mistakes.add(written.origin.clone(), key, Problem::Other(why));
        };
        match self.ceiling.limits.get(limit.key) {
            Some(bound) if bound.value < written.value => {
                let most = limit.unit.show(bound.value);
                refuse(format!(
                    "{value} is above the ceiling's {most} ({}): lower it, or raise {} in \
                     [plugins.ceiling.limits]",
                    bound.origin, limit.key
                ));
            }
            _ => {}
        }
        if let Some((most, key)) = self.host_bound(limit)
            && most < written.value
        {
            let most = limit.unit.show(most);
            refuse(format!(
                "{value} is above the host's {most}: lower it, or raise {key} in [calls]"
            ));
        }
    }

    /// What no policy can lift, and the key in `[calls]` that can.
    pub(super) fn host_bound(&self, limit: &Limit) -> Option<(u64, &'static str)> {
        let bytes = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        match limit.key {
            key if key == MEMORY.key => Some((bytes(self.bounds.max_memory_bytes), "max_memory")),
            key if key == TABLE_ELEMENTS.key => {
                Some((bytes(self.bounds.max_table_elements), "max_table_elements"))
            }
            _ => None,
        }
    }

    /// Whether a policy may name this variable or file.
    pub(super) fn may_read(&self, reference: &Reference) -> Result<(), ExpandError> {
        let allowed = match reference {
            _ if self.granting == Granting::Everything => true,
            Reference::Env(name) => listed(self.ceiling.env.as_ref(), name),
            // `..` would lead out of a directory that an entry ending in `/*` names.
            Reference::File(path) => {
                !path.split('/').any(|part| part == "..")
                    && listed(self.ceiling.files.as_ref(), path)
            }
        };
        if allowed {
            return Ok(());
        }
        let (reference, file) = (reference.clone(), self.operator_file.clone());
        Err(ExpandError::NotAllowed { reference, file })
    }
}

fn listed(list: Option<&Written<Vec<String>>>, name: &str) -> bool {
    list.is_some_and(|list| list.value.iter().any(|entry| names(entry, name)))
}

/// Whether an entry of an allow-list names this; `*` at its end stands for the rest.
fn names(entry: &str, name: &str) -> bool {
    match entry.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => entry == name,
    }
}

fn quoted(patterns: &[SubjectPattern]) -> String {
    patterns
        .iter()
        .map(|p| format!("\"{p}\""))
        .collect::<Vec<_>>()
        .join(", ")
}
