//! Trials of `libtest-mimic`: plain tests, and rows of tables.

use std::sync::{Mutex, PoisonError};

use libtest_mimic::Trial;

use super::cases::Case;

/// A test under the name of its module, which `module_path!()` tells.
pub fn trial(module: &str, name: &str, check: impl FnOnce() + Send + 'static) -> Trial {
    let (_, module) = module.split_once("::").unwrap();
    Trial::test(format!("{module}::{name}"), move || {
        check();
        Ok(())
    })
}

/// The plain tests of a module.
macro_rules! plain {
    ($($test:ident),+ $(,)?) => {
        vec![$($crate::support::trials::trial(module_path!(), stringify!($test), $test)),+]
    };
}
pub(crate) use plain;

/// A trial for each row of a table.
pub fn rows<T: Send + 'static>(
    module: &'static str,
    shared: &'static Shared<T>,
    table: Vec<Case>,
    check: fn(&mut T, &Case),
) -> Vec<Trial> {
    let row = |case: Case| {
        let name = case.name.clone();
        trial(module, &name, move || shared.with(|shared| check(shared, &case)))
    };
    table.into_iter().map(row).collect()
}

/// What the trials of a table share, one at a time: the first one makes it.
pub struct Shared<T>(Mutex<Option<T>>, fn() -> T);

impl<T> Shared<T> {
    pub const fn new(make: fn() -> T) -> Self {
        Self(Mutex::new(None), make)
    }

    /// Also after a trial that failed.
    pub fn with<R>(&self, check: impl FnOnce(&mut T) -> R) -> R {
        check(self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(self.1))
    }

    /// Drops it: nothing else would, as it is a static.
    pub fn end(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}
