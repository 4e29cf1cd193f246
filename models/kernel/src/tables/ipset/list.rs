//! `list:set`: an ordered list of sets (net/netfilter/ipset/ip_set_list_set.c).

use glassnet_sim::Nanos;

use super::types::{Ext, Extensions, SetError, SetType};

/// A member of a list.
#[derive(Clone, Debug)]
pub struct Member {
    /// The set.
    pub set: u16,
    /// Its extensions, if the list has any.
    pub ext: Option<Box<Ext>>,
}

impl Member {
    fn expired(&self, now: Nanos) -> bool {
        self.ext.as_ref().is_some_and(|ext| ext.expired(now))
    }
}

/// A `list:set`.
#[derive(Clone, Debug)]
pub struct List {
    /// `size`, shown by the kernel but not enforced.
    pub size: u32,
    /// Members in order.
    pub members: Vec<Member>,
    dsize: usize,
}

/// Size of an empty list in the kernel's memory, bytes.
const BASE: usize = 80;

impl List {
    /// An empty list.
    pub fn new(size: Option<u32>, ext: &Extensions) -> List {
        let dsize = ext.sized(SetType::ListSet.elem_size());
        List { size: size.unwrap_or(8).max(4), members: Vec::new(), dsize }
    }

    /// Memory size as the kernel reports it, bytes.
    pub fn memory(&self) -> usize {
        let comments = self.members.iter().filter_map(|member| member.ext.as_ref());
        let comments: usize = comments.map(|ext| ext.comment_size()).sum();
        BASE + self.members.len() * self.dsize + comments
    }

    /// Unexpired members.
    pub fn live(&self, now: Nanos) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(move |member| !member.expired(now))
    }

    /// Removes expired members and returns them, so that their references can be dropped.
    pub fn sweep(&mut self, now: Nanos) -> Vec<u16> {
        let (gone, kept) =
            std::mem::take(&mut self.members).into_iter().partition(|member| member.expired(now));
        self.members = kept;
        let gone: Vec<Member> = gone;
        gone.iter().map(|member| member.set).collect()
    }

    fn place(&self, set: u16) -> Option<usize> {
        self.members.iter().position(|member| member.set == set)
    }

    /// The set is a member, directly before or after the other one if given.
    pub fn contains(&self, set: u16, near: Option<(bool, u16)>) -> bool {
        let Some(at) = self.place(set) else { return false };
        let other = match near {
            None => return true,
            Some((true, _)) => self.members.get(at + 1),
            Some((false, _)) => at.checked_sub(1).and_then(|at| self.members.get(at)),
        };
        other.is_some_and(|other| near.is_some_and(|(_, near)| other.set == near))
    }

    /// Adds a member set. True if it is new, so that a reference must be taken.
    ///
    /// # Errors
    ///
    /// [`SetError::RefExist`]: the set in `near` is no member. [`SetError::Exist`]: the set is a member, and
    /// `exist` is false.
    pub fn add(
        &mut self,
        mut member: Member,
        near: Option<(bool, u16)>,
        exist: bool,
    ) -> Result<bool, SetError> {
        let near = match near {
            Some((before, other)) => Some((before, self.place(other).ok_or(SetError::RefExist)?)),
            None => None,
        };
        let known = self.place(member.set);
        if let Some(ext) = &mut member.ext {
            let before = known.and_then(|at| self.members[at].ext.as_ref());
            ext.init_counters(before.map_or((0, 0), |before| (before.packets, before.bytes)));
        }
        if let Some(at) = known {
            if !exist {
                return Err(SetError::Exist);
            }
            self.members[at] = member;
            return Ok(false);
        }
        let at = match near {
            Some((true, at)) => at,
            Some((false, at)) => at + 1,
            None => self.members.len(),
        };
        self.members.insert(at, member);
        Ok(true)
    }

    /// Deletes a member set.
    ///
    /// # Errors
    ///
    /// [`SetError::Exist`]: the set is no member. [`SetError::RefExist`]: it is not where `near` says.
    pub fn del(&mut self, set: u16, near: Option<(bool, u16)>) -> Result<(), SetError> {
        let at = self.place(set).ok_or(SetError::Exist)?;
        if near.is_some() && !self.contains(set, near) {
            return Err(SetError::RefExist);
        }
        self.members.remove(at);
        Ok(())
    }
}
