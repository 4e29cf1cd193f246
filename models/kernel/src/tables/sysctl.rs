//! Values of `/proc/sys` that a namespace keeps as plain numbers (`struct ctl_table` whose `data` lies in
//! `struct net`).

use crate::ids::DevId;

/// Scope of a setting: the namespace, or a directory below `conf` or `neigh`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfOf {
    /// The namespace, or `all`.
    All,
    /// `default`, the template for new devices.
    Default,
    /// A device.
    Dev(DevId),
}

/// A per-namespace number. It is identified by its address, so it must be a `static`.
#[derive(Debug)]
pub struct Setting {
    /// File name.
    pub name: &'static str,
    /// Default in a new namespace.
    pub default: i64,
}

impl Setting {
    /// A setting.
    pub const fn new(name: &'static str, default: i64) -> Setting {
        Setting { name, default }
    }
}

/// The settings of a namespace; only those written are stored.
#[derive(Clone, Debug, Default)]
pub struct Settings(Vec<(&'static Setting, i64)>);

impl Settings {
    /// The value of a setting.
    #[inline]
    pub fn get(&self, setting: &'static Setting) -> i64 {
        let written = self.0.iter().find(|entry| std::ptr::eq(entry.0, setting));
        written.map_or(setting.default, |entry| entry.1)
    }

    /// Sets a value.
    pub fn set(&mut self, setting: &'static Setting, value: i64) {
        match self.0.iter_mut().find(|entry| std::ptr::eq(entry.0, setting)) {
            Some(entry) => entry.1 = value,
            None => self.0.push((setting, value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static TTL: Setting = Setting::new("ttl", 64);
    static OTHER: Setting = Setting::new("ttl", 1);

    #[test]
    fn a_setting_has_its_default_until_it_is_written() {
        let mut settings = Settings::default();
        assert_eq!((settings.get(&TTL), settings.get(&OTHER)), (64, 1));
        settings.set(&TTL, 3);
        settings.set(&TTL, 5);
        assert_eq!((settings.get(&TTL), settings.get(&OTHER)), (5, 1));
    }
}
