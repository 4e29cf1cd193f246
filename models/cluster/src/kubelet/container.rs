//! A container of a pod: its program, how it ended, when it is started again.

use std::sync::Arc;

use glassnet_sim::Nanos;
use glassnet_userland::process::{Exit, Signal, Signals};
use k8s_openapi::api::core::v1::Container;
use sha2::{Digest, Sha256};

use super::probe::{For, Probing};
use super::seconds;
use crate::qos;

/// The first pause before a container is started again, and the longest, seconds (`MaxContainerBackOff`). A container that ran for
/// twice the longest one begins anew.
const BACK_OFF: [i64; 2] = [10, 300];

/// A container is tried again after this pause where it could not be made, seconds.
pub(super) const TRY_AGAIN: i64 = 10;

/// A program that ended.
#[derive(Clone, Debug)]
pub(super) struct Ended {
    pub status: i32,
    pub started: Nanos,
    pub at: Nanos,
    /// The container's ID.
    pub id: String,
}

/// A hook that runs.
pub(super) struct Hook {
    /// Its command; none: it is a pause.
    pub exit: Option<Arc<Exit>>,
    pub signals: Arc<Signals>,
    /// When its pause is over, or its time.
    pub until: Nanos,
}

/// A container that is to end.
pub(super) struct Stopping {
    /// What runs before its program is told.
    pub hook: Option<Hook>,
    /// Its program was told.
    pub is_told: bool,
    /// When its program is killed.
    pub kill_at: Nanos,
    is_killed: bool,
}

/// What is to be done with a container that is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Wait,
    Term,
    Kill,
}

/// A container.
pub(super) struct Running {
    pub spec: Container,
    pub is_init: bool,
    /// Its program, while it runs.
    pub program: Option<(Arc<Exit>, Arc<Signals>)>,
    /// It was started at least once.
    pub id: Option<String>,
    pub started: Nanos,
    pub restarts: i32,
    /// How its last program ended.
    pub last: Option<Ended>,
    /// How the one before that ended.
    pub before: Option<Ended>,
    /// Why it cannot start: a reason and a message.
    pub refused: Option<(&'static str, String)>,
    /// When it is started again, and whether it is the fault of the program.
    pub again: Option<(Nanos, bool)>,
    /// `postStart`, while it runs.
    pub hook: Option<Hook>,
    pub stopping: Option<Stopping>,
    pub probes: [Probing; 3],
    /// How often in turn it was started again too soon.
    backed_off: u32,
    pause: i64,
}

impl Hook {
    /// It is over: with a status, if it has one.
    pub(super) fn over(&self, now: Nanos) -> Option<Option<i32>> {
        match &self.exit {
            Some(exit) => exit.status().map(Some).or_else(|| (self.until <= now).then_some(None)),
            None => (self.until <= now).then_some(Some(0)),
        }
    }

    fn has_news(&self) -> bool {
        self.exit.as_ref().is_some_and(|exit| exit.status().is_some())
    }
}

impl Running {
    pub(super) fn new(spec: Container, is_init: bool) -> Running {
        Running {
            spec,
            is_init,
            program: None,
            id: None,
            started: Nanos::ZERO,
            restarts: 0,
            last: None,
            before: None,
            refused: None,
            again: None,
            hook: None,
            stopping: None,
            probes: Default::default(),
            backed_off: 0,
            pause: 0,
        }
    }

    /// An init container that goes on beside the others.
    pub(super) fn is_sidecar(&self) -> bool {
        self.is_init && qos::is_sidecar(&self.spec)
    }

    /// Its program has begun.
    pub(super) fn begin(&mut self, uid: &str, program: (Arc<Exit>, Arc<Signals>), now: Nanos) {
        let digest = Sha256::digest(format!("{uid}/{}/{}", self.spec.name, self.restarts));
        let id: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        self.before = self.last.take();
        (self.program, self.id, self.started) = (Some(program), Some(format!("containerd://{id}")), now);
        (self.refused, self.again, self.hook, self.stopping) = (None, None, None, None);
        self.probes = For::ALL.map(|what| Probing::begin(what.of(&self.spec), now));
    }

    /// Takes in that its program has ended, if it has.
    pub(super) fn take_end(&mut self, now: Nanos) -> Option<i32> {
        let status = self.program.as_ref()?.0.status()?;
        let id = self.id.clone().unwrap_or_default();
        self.last = Some(Ended { status, started: self.started, at: now, id });
        (self.program, self.hook, self.stopping) = (None, None, None);
        for probing in &mut self.probes {
            if let Some(asked) = probing.asked.take() {
                asked.signals.send(Signal::KILL);
            }
        }
        self.probes = Default::default();
        Some(status)
    }

    /// Has it started again: the first time at once, then after longer and longer pauses. The pause, if there is one, seconds.
    pub(super) fn back_off(&mut self, now: Nanos) -> Option<i64> {
        let [first, most] = BACK_OFF;
        if self.last.as_ref().is_some_and(|last| last.at.since(last.started) > seconds(2 * most)) {
            self.backed_off = 0;
        }
        self.pause = match self.backed_off {
            0 => 0,
            count => (first << (count - 1).min(10)).min(most),
        };
        self.backed_off += 1;
        self.again = Some((now + seconds(self.pause), true));
        (self.pause > 0).then_some(self.pause)
    }

    /// The pause before it is started again, seconds.
    pub(super) fn pause(&self) -> i64 {
        self.pause
    }

    /// It could not be made, and is tried again.
    pub(super) fn refuse(&mut self, reason: &'static str, message: String, now: Nanos) {
        self.refused = Some((reason, message));
        self.again = Some((now + seconds(TRY_AGAIN), false));
    }

    /// Its program runs, and its hook has run.
    pub(super) fn runs(&self) -> bool {
        self.program.is_some() && self.hook.is_none()
    }

    /// Its program runs, its hook has run, and its startup probe (if it has one) succeeded.
    pub(super) fn is_started(&self) -> bool {
        self.runs() && (self.spec.startup_probe.is_none() || self.probes[0].result == Some(true))
    }

    /// It is started, and its readiness probe (if it has one) succeeds.
    pub(super) fn is_ready(&self) -> bool {
        self.is_started() && (self.spec.readiness_probe.is_none() || self.probes[2].result == Some(true))
    }

    /// An init container that is no sidecar, and has done its work; a container that is ready.
    pub(super) fn is_done_or_ready(&self) -> bool {
        match self.is_init && !self.is_sidecar() {
            true => self.program.is_none() && self.last.as_ref().is_some_and(|last| last.status == 0),
            false => self.is_ready(),
        }
    }

    /// It has ended, and is not started again.
    pub(super) fn is_over(&self) -> bool {
        self.program.is_none() && self.again.is_none() && self.last.is_some()
    }

    /// It is to end at this time at the latest, after its hook.
    pub(super) fn stop(&mut self, hook: Option<Hook>, kill_at: Nanos) {
        if self.program.is_some() && self.stopping.is_none() {
            self.stopping = Some(Stopping { hook, is_told: false, kill_at, is_killed: false });
        }
    }

    /// What is to be done with it now that it is to end. A hook that took all the time leaves the program two seconds.
    pub(super) fn next_step(&mut self, now: Nanos) -> Step {
        let Some(stopping) = &mut self.stopping else { return Step::Wait };
        if !stopping.is_told {
            match &stopping.hook {
                Some(hook) if hook.over(now).is_none() && now < stopping.kill_at => return Step::Wait,
                Some(hook) => {
                    hook.signals.send(Signal::KILL);
                    stopping.kill_at = stopping.kill_at.max(now + seconds(2));
                }
                None => {}
            }
            (stopping.is_told, stopping.hook) = (true, None);
            return Step::Term;
        }
        if now >= stopping.kill_at && !stopping.is_killed {
            stopping.is_killed = true;
            return Step::Kill;
        }
        Step::Wait
    }

    /// Sends its program a signal.
    pub(super) fn signal(&self, signal: Signal) {
        if let Some((_, signals)) = &self.program {
            signals.send(signal);
        }
    }

    /// When there is something to do for it.
    pub(super) fn deadline(&self) -> Option<Nanos> {
        let stopping = self.stopping.as_ref();
        let kill = stopping.filter(|stopping| !stopping.is_killed).map(|stopping| stopping.kill_at);
        let pre_stop = stopping.and_then(|stopping| Some(stopping.hook.as_ref()?.until));
        let post_start = self.hook.as_ref().filter(|hook| hook.exit.is_none()).map(|hook| hook.until);
        let probes = match self.runs() && stopping.is_none() {
            true => self.probes.iter().zip(For::ALL).filter(|(_, what)| self.is_probed(*what)).collect(),
            false => Vec::new(),
        };
        let probes = probes.into_iter().filter_map(|(probing, _)| probing.deadline()).min();
        let again = self.again.map(|(at, _)| at);
        [again, kill, pre_stop, post_start, probes].into_iter().flatten().min()
    }

    /// Whether such a probe is sent now: others wait until the startup probe has succeeded, which is not sent again.
    pub(super) fn is_probed(&self, what: For) -> bool {
        let has_started = self.spec.startup_probe.is_none() || self.probes[0].result == Some(true);
        what.of(&self.spec).is_some() && has_started != (what == For::Startup)
    }

    /// One of its programs has ended.
    pub(super) fn has_news(&self) -> bool {
        let ended = |exit: &Arc<Exit>| exit.status().is_some();
        let hooks = [self.hook.as_ref(), self.stopping.as_ref().and_then(|stopping| stopping.hook.as_ref())];
        self.program.as_ref().is_some_and(|(exit, _)| ended(exit))
            || hooks.into_iter().flatten().any(Hook::has_news)
            || self
                .probes
                .iter()
                .any(|probing| probing.asked.as_ref().is_some_and(|asked| ended(&asked.exit)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_become_longer_up_to_five_minutes() {
        let mut container = Running::new(Container::default(), false);
        let pauses: Vec<Option<i64>> = (0..8).map(|_| container.back_off(Nanos::ZERO)).collect();
        let expected = [None, Some(10), Some(20), Some(40), Some(80), Some(160), Some(300), Some(300)];
        assert_eq!(pauses, expected);
        container.last = Some(Ended { status: 1, started: Nanos::ZERO, at: seconds(601), id: String::new() });
        assert_eq!(container.back_off(Nanos::ZERO), None);
    }

    #[test]
    fn a_program_is_told_after_its_hook_and_killed_after_its_grace() {
        let mut container = Running::new(Container::default(), false);
        container.begin("uid", (Arc::default(), Arc::default()), Nanos::ZERO);
        let hook = Hook { exit: None, signals: Arc::default(), until: seconds(5) };
        container.stop(Some(hook), seconds(30));
        let steps: Vec<Step> = [1, 4, 5, 6, 29, 30, 31].map(|at| container.next_step(seconds(at))).to_vec();
        use Step::{Kill, Term, Wait};
        assert_eq!(steps, [Wait, Wait, Term, Wait, Wait, Kill, Wait]);
    }
}
