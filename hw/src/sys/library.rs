//! Libraries of the machine that are loaded while the program runs and never linked: drivers are on some machines only.
//!
//! A library is never unloaded. Drivers start threads and register functions for the end of the program, which would then
//! run code that is not there any more; and a function of a library that stays can be copied and kept.

use std::ffi::OsStr;

pub(crate) use crate::LoadError;
use libloading::os::unix::{Library as Loaded, RTLD_LOCAL, RTLD_NOW};

/// A loaded library.
pub(crate) struct Library {
    name: &'static str,
    handle: &'static Loaded,
}

impl Library {
    /// Loads a library by the name that the dynamic loader looks for, such as `libblkid.so.1`.
    ///
    /// Every symbol that it needs is resolved now: what is missing is an error here, not the end of the program later.
    pub(crate) fn open(name: &'static str) -> Result<Self, LoadError> {
        // SAFETY: the library's initialisation runs in this process. The names are constants of this crate, libraries whose
        // initialisation is meant to run in any program; those of drivers are loaded in a process of their own.
        let loaded = unsafe { Loaded::open(Some(OsStr::new(name)), RTLD_NOW | RTLD_LOCAL) };
        let loaded = loaded.map_err(|error| refusal(name, &reason(&error)))?;
        Ok(Self { name, handle: Box::leak(Box::new(loaded)) })
    }

    /// A function of the library, as a pointer to a function.
    ///
    /// # Safety
    /// `F` must be an `unsafe extern "C" fn` type with the signature that the library's header declares.
    pub(crate) unsafe fn function<F: Copy>(&self, symbol: &'static str) -> Result<F, LoadError> {
        const { assert!(size_of::<F>() == size_of::<unsafe extern "C" fn()>()) };
        // SAFETY: the caller promises that F is the type of the function; the library stays loaded for ever.
        let found = unsafe { self.handle.get::<F>(symbol.as_bytes()) };
        found
            .map(|function| *function)
            .map_err(|_absent| LoadError::Incomplete { library: self.name.into(), function: symbol.into() })
    }
}

/// What the loader said, without its wrapping.
fn reason(error: &libloading::Error) -> String {
    use std::error::Error as _;
    error.source().map_or_else(|| error.to_string(), ToString::to_string)
}

/// The loader begins its message with the file that it lacks: the library, or another one that it needs.
fn refusal(name: &str, reason: &str) -> LoadError {
    let library = name.to_owned();
    match reason.strip_prefix(name) {
        Some(rest) if rest.ends_with("No such file or directory") => LoadError::Absent { library },
        _ => LoadError::Unloadable { library, reason: reason.to_owned() },
    }
}

/// Declares the functions of a library as a structure of pointers, with a `load` that finds them all.
///
/// Each line is a promise that the library's header declares the function so; those after `optional` are missing from some
/// versions of the library.
macro_rules! library {
    (
        $(#[$meta:meta])* $name:ident = $file:literal {
            $(fn $function:ident($($argument:ident: $type:ty),* $(,)?) $(-> $result:ty)?;)*
        }
        $(optional { $(fn $maybe:ident($($margument:ident: $mtype:ty),* $(,)?) $(-> $mresult:ty)?;)* })?
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy)]
        #[allow(non_snake_case, reason = "the functions' own names")]
        pub(crate) struct $name {
            $($function: unsafe extern "C" fn($($argument: $type),*) $(-> $result)?,)*
            $($($maybe: Option<unsafe extern "C" fn($($margument: $mtype),*) $(-> $mresult)?>,)*)?
        }

        impl $name {
            /// Loads the library and finds its functions.
            pub(crate) fn load() -> Result<Self, $crate::LoadError> {
                let library = $crate::sys::library::Library::open($file)?;
                // SAFETY: the declarations are those of the library's header.
                Ok(unsafe { Self {
                    $($function: library.function(stringify!($function))?,)*
                    $($($maybe: library.function(stringify!($maybe)).ok(),)*)?
                } })
            }
        }
    };
}
pub(crate) use library;

#[cfg(test)]
mod tests {
    use std::ffi::{c_char, c_double, c_int};

    use super::*;

    library! {
        /// The mathematical library of every machine.
        Math = "libm.so.6" {
            fn cbrt(x: c_double) -> c_double;
        }
        optional {
            fn no_such_function(x: c_int) -> *const c_char;
        }
    }

    #[test]
    fn functions_of_a_library_can_be_called() {
        let math = Math::load().unwrap();
        // SAFETY: cbrt takes any number.
        assert!((unsafe { (math.cbrt)(27.0) } - 3.0).abs() < 1e-9);
        assert!(math.no_such_function.is_none());
    }

    #[test]
    fn what_is_missing_is_named() {
        let absent = Library::open("libaegis-none.so.1").err().unwrap();
        assert_eq!(absent, LoadError::Absent { library: "libaegis-none.so.1".into() });
        let math = Library::open("libm.so.6").unwrap();
        // SAFETY: the function is not there, so it is never called.
        let none = unsafe { math.function::<unsafe extern "C" fn()>("no_such_function") };
        let library = "libm.so.6".into();
        assert_eq!(none.err(), Some(LoadError::Incomplete { library, function: "no_such_function".into() }));
    }

    #[test]
    fn a_library_that_lacks_another_one_is_not_absent() {
        let reason = "libcuda.so.1: cannot open shared object file: No such file or directory";
        let LoadError::Unloadable { reason: told, .. } = refusal("libnvidia-encode.so.1", reason) else {
            panic!("it is there");
        };
        assert_eq!(told, reason);
    }
}
