//! Who hears what from whom, as registrations, imports and grants say it: events that could go in a
//! circle, and those that nobody here hears. Only grants that name a type count: a pattern allows
//! much that nobody means to emit. Pure.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;

use crate::plugin::Plugin;
use crate::policy::PluginName;
use crate::registry::Registry;
use crate::sandbox::has_interface;
use crate::subject::SubjectPattern;

/// All plugins of a host.
#[derive(Debug)]
pub(super) struct Topology<'a>(Vec<Member<'a>>);

/// What one plugin hears, and what it may emit.
#[derive(Debug)]
struct Member<'a> {
    name: &'a PluginName,
    /// Types that it handles by name.
    events: Vec<&'a str>,
    any_event: bool,
    /// What its exchanges, and listeners that it adds, may wait for.
    listens: Vec<&'a SubjectPattern>,
    /// Types.
    emits: Vec<&'a str>,
}

/// A way on which events of a plugin can come back to it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Circle<'a> {
    /// Who may emit what to the next one; the last one to the first.
    steps: Vec<(&'a PluginName, &'a str)>,
}

/// Who may emit what to nobody.
pub(super) type Unheard = BTreeSet<(PluginName, String)>;

impl<'a> Topology<'a> {
    pub(super) fn of(registry: &'a Registry) -> Topology<'a> {
        Topology(
            registry
                .plugins()
                .map(|plugin| Member::of(plugin))
                .collect(),
        )
    }

    /// The shortest circle through a plugin. Handlers that events are registered for, and no
    /// listeners: those wait for answers, which is no circle.
    pub(super) fn circle(&self, plugin: &PluginName) -> Option<Circle<'a>> {
        let start = self.0.iter().find(|member| member.name == plugin)?;
        let mut came_by = BTreeMap::new();
        let mut ahead = VecDeque::from([start]);
        while let Some(from) = ahead.pop_front() {
            for to in &self.0 {
                let Some(emits) = from.emits.iter().find(|emits| to.handles(emits)) else {
                    continue;
                };
                if came_by.contains_key(to.name) {
                    continue;
                }
                came_by.insert(to.name, (from.name, *emits));
                if to.name == plugin {
                    return Some(Circle::back(plugin, &came_by));
                }
                ahead.push_back(to);
            }
        }
        None
    }

    /// What nobody here handles or listens to; others on the server may.
    pub(super) fn unheard(&self) -> Unheard {
        let all = self.0.iter();
        let emits = all.flat_map(|member| member.emits.iter().map(|emits| (member.name, *emits)));
        let unheard = emits.filter(|(_, emits)| !self.0.iter().any(|member| member.hears(emits)));
        unheard
            .map(|(name, emits)| (name.clone(), emits.to_owned()))
            .collect()
    }
}

impl<'a> Member<'a> {
    fn of(plugin: &'a Plugin) -> Member<'a> {
        let (registrations, grants) = (plugin.registrations(), &plugin.policy().grants);
        let imports = &plugin.component().imports;
        // A grant of what a component does not even import is none.
        let granted = |interface: &str, grants: &'a [SubjectPattern]| {
            if has_interface(imports, interface) {
                grants
            } else {
                &[]
            }
        };
        let emits = granted("emit", &grants.emit).iter();
        let types = emits.filter(|pattern| pattern.is_literal());
        // What it sends in an exchange and what it waits for are in one list: taken as heard.
        let hears = granted("listeners", &grants.listen).iter();
        let hears = hears.chain(granted("exchange", &grants.exchange));
        Member {
            name: plugin.name(),
            events: registrations.events.iter().map(|(_, ty)| &**ty).collect(),
            any_event: registrations.any_event.is_some(),
            listens: hears.collect(),
            emits: types.map(SubjectPattern::as_str).collect(),
        }
    }

    fn handles(&self, ty: &str) -> bool {
        self.any_event || self.events.contains(&ty)
    }

    fn hears(&self, ty: &str) -> bool {
        self.handles(ty) || self.listens.iter().any(|listens| listens.matches(ty))
    }
}

impl<'a> Circle<'a> {
    /// From how each was come by first.
    fn back(
        plugin: &PluginName,
        came_by: &BTreeMap<&'a PluginName, (&'a PluginName, &'a str)>,
    ) -> Circle<'a> {
        let mut steps = Vec::new();
        let mut at = plugin;
        while let Some(step) = came_by.get(at) {
            steps.push(*step);
            at = step.0;
            if at == plugin {
                break;
            }
        }
        steps.reverse();
        Circle { steps }
    }
}

impl fmt::Display for Circle<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, emits) in &self.steps {
            write!(f, "{name} -[{emits}]-> ")?;
        }
        match self.steps.first() {
            Some((first, _)) => write!(f, "{first}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Member, Topology};
    use crate::policy::PluginName;
    use crate::subject::SubjectPattern;

    /// Name, what it handles (`*`: any), what it listens to, what it may emit.
    type Given = (
        &'static str,
        &'static [&'static str],
        &'static [&'static str],
        &'static [&'static str],
    );

    /// Calls `check` with the topology of those plugins.
    fn given(plugins: &[Given], check: impl FnOnce(&Topology<'_>)) {
        let patterns = |texts: &[&str]| -> Vec<SubjectPattern> {
            let patterns = texts.iter().map(|text| text.parse().unwrap());
            patterns.collect()
        };
        let owned: Vec<_> = plugins
            .iter()
            .map(|(name, events, listens, emits)| {
                let name: PluginName = name.parse().unwrap();
                (name, *events, patterns(listens), *emits)
            })
            .collect();
        let members = owned.iter().map(|(name, events, listens, emits)| Member {
            name,
            events: events.to_vec(),
            any_event: *events == ["*"],
            listens: listens.iter().collect(),
            emits: emits.to_vec(),
        });
        check(&Topology(members.collect()));
    }

    fn check_circle(plugins: &[Given], expected: Option<&str>) {
        given(plugins, |topology| {
            let circle = topology.circle(&plugins[0].0.parse().unwrap());
            let circle = circle.map(|circle| circle.to_string());
            assert_eq!(circle.as_deref(), expected, "{plugins:?}");
        });
    }

    #[test]
    fn who_may_emit_what_it_handles_is_a_circle() {
        check_circle(&[("a", &["t.A"], &[], &["t.B"])], None);
        check_circle(&[("a", &["t.A"], &[], &["t.A"])], Some("a -[t.A]-> a"));
        check_circle(&[("a", &["*"], &[], &["t.B"])], Some("a -[t.B]-> a"));
    }

    #[test]
    fn a_circle_of_several_is_the_shortest_one() {
        let around: &[Given] = &[
            ("a", &["t.A"], &[], &["t.B"]),
            ("b", &["t.B"], &[], &["t.C", "t.D"]),
            ("c", &["t.C"], &[], &["t.D"]),
            ("d", &["t.D"], &[], &["t.A"]),
        ];
        let way = "a -[t.B]-> b -[t.D]-> d -[t.A]-> a";
        check_circle(around, Some(way));
        check_circle(&around[..3], None);
    }

    #[test]
    fn a_circle_of_others_is_not_of_a_plugin() {
        let beside: &[Given] = &[
            ("a", &["t.A"], &[], &["t.B"]),
            ("b", &["t.B", "t.C"], &[], &["t.C"]),
        ];
        check_circle(beside, None);
    }

    #[test]
    fn who_listens_to_an_answer_is_no_circle() {
        let answered: &[Given] = &[
            ("a", &[], &["t.Answered"], &["t.Asked"]),
            ("b", &["t.Asked"], &[], &["t.Answered"]),
        ];
        check_circle(answered, None);
        given(answered, |topology| assert!(topology.unheard().is_empty()));
    }

    #[test]
    fn what_no_plugin_handles_or_listens_to_is_unheard() {
        let plugins: &[Given] = &[
            ("a", &["t.A"], &[], &["t.B", "t.C", "t.D"]),
            ("b", &["t.B"], &["t.*"], &[]),
        ];
        given(plugins, |topology| assert!(topology.unheard().is_empty()));
        let plugins: &[Given] = &[
            ("a", &["t.A"], &[], &["t.B", "t.C", "u.X"]),
            ("b", &["t.B"], &["u.*"], &["t.D"]),
        ];
        given(plugins, |topology| {
            let unheard = topology.unheard();
            let texts: Vec<_> = unheard
                .iter()
                .map(|(name, ty)| (name.as_ref(), ty.as_str()))
                .collect();
            assert_eq!(texts, [("a", "t.C"), ("b", "t.D")]);
        });
    }
}
