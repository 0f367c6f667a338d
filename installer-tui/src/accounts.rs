//! The first user, added to the image's own account files.
//!
//! Invariant: existing lines stay as they are, apart from the members of groups that the user joins.

use std::{collections::BTreeSet, fs, io, path::Path};

use crate::error::Error;

/// Contents of the image's account files; empty where the image has no such file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accounts {
    /// passwd(5).
    pub passwd: String,
    /// group(5).
    pub group: String,
    /// shadow(5).
    pub shadow: String,
    /// gshadow(5).
    pub gshadow: String,
    /// subuid(5).
    pub subuid: String,
    /// subgid(5).
    pub subgid: String,
}

/// The user to add.
#[derive(Clone, Copy, Debug)]
pub struct NewUser<'a> {
    /// Login name.
    pub name: &'a str,
    /// Name for people.
    pub full_name: &'a str,
    /// Hash of the password.
    pub password_hash: &'a str,
    /// Login shell.
    pub shell: &'a str,
    /// Days since 1970 on which the password was set.
    pub today: u64,
}

/// Groups that the first user joins where the image has them.
const GROUPS: [&str; 11] =
    ["sudo", "adm", "cdrom", "audio", "dip", "video", "plugdev", "netdev", "lpadmin", "scanner", "bluetooth"];

const FIRST_ID: u32 = 1000;
const LAST_ID: u32 = 59_999;
const FIRST_SUBORDINATE: u64 = 100_000;
const SUBORDINATES: u64 = 65_536;

impl Accounts {
    /// Reads the files below `etc` of an image.
    pub fn read(image: &Path) -> Result<Self, Error> {
        let read = |name: &str| {
            let path = image.join("etc").join(name);
            match fs::read_to_string(&path) {
                Ok(text) => Ok(text),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
                Err(source) => Err(Error::io("read", path)(source)),
            }
        };
        Ok(Self {
            passwd: read("passwd")?,
            group: read("group")?,
            shadow: read("shadow")?,
            gshadow: read("gshadow")?,
            subuid: read("subuid")?,
            subgid: read("subgid")?,
        })
    }

    /// The files with the user in them, and the number that user and group got.
    pub fn with_user(&self, user: &NewUser<'_>) -> Result<(Self, u32), Error> {
        let NewUser { name, full_name, password_hash, shell, today } = user;
        if fields(&self.passwd).chain(fields(&self.group)).any(|line| line[0] == *name) {
            return Err(Error::Accounts(format!("`{name}` exists already")));
        }
        let id = self.free_id()?;
        let appended = |file: &str, line: String| {
            let feed = if file.is_empty() || file.ends_with('\n') { "" } else { "\n" };
            format!("{file}{feed}{line}\n")
        };
        let subordinate = |file: &str| {
            let taken = fields(file)
                .filter_map(|l| Some(l.get(1)?.parse::<u64>().ok()? + l.get(2)?.parse::<u64>().ok()?));
            let start = taken.max().unwrap_or(0).max(FIRST_SUBORDINATE);
            appended(file, format!("{name}:{start}:{SUBORDINATES}"))
        };
        let added = Self {
            passwd: appended(&self.passwd, format!("{name}:x:{id}:{id}:{full_name},,,:/home/{name}:{shell}")),
            group: appended(&joined(&self.group, name), format!("{name}:x:{id}:")),
            shadow: appended(&self.shadow, format!("{name}:{password_hash}:{today}:0:99999:7:::")),
            gshadow: appended(&joined(&self.gshadow, name), format!("{name}:!::")),
            subuid: subordinate(&self.subuid),
            subgid: subordinate(&self.subgid),
        };
        Ok((added, id))
    }

    /// The smallest number that neither a user nor a group has.
    fn free_id(&self) -> Result<u32, Error> {
        let taken: BTreeSet<u32> = fields(&self.passwd)
            .chain(fields(&self.group))
            .filter_map(|line| line.get(2)?.parse().ok())
            .collect();
        (FIRST_ID..=LAST_ID)
            .find(|id| !taken.contains(id))
            .ok_or_else(|| Error::Accounts("no number is free for the user".into()))
    }

    /// Number of the group `shadow`, which may read shadow(5).
    pub fn shadow_group(&self) -> u32 {
        let line = fields(&self.group).find(|line| line[0] == "shadow");
        line.and_then(|line| line.get(2)?.parse().ok()).unwrap_or(0)
    }
}

fn fields(file: &str) -> impl Iterator<Item = Vec<&str>> {
    file.lines().filter(|line| !line.is_empty()).map(|line| line.split(':').collect())
}

/// group(5) or gshadow(5) with the user as a member, in the fourth field, of every group that it joins.
fn joined(file: &str, user: &str) -> String {
    let line = |line: &str| {
        let name = line.split(':').next().unwrap_or_default();
        let member = GROUPS.contains(&name) && line.matches(':').count() == 3;
        let comma = if line.ends_with(':') { "" } else { "," };
        if member { format!("{line}{comma}{user}\n") } else { format!("{line}\n") }
    };
    file.lines().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> Accounts {
        Accounts {
            passwd: "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1::/:/usr/sbin/nologin".into(),
            group: "root:x:0:\nshadow:x:42:\nsudo:x:27:\naudio:x:29:pulse\nsudoers:x:1000:\n".into(),
            shadow: "root:*:20000:0:99999:7:::\n".into(),
            gshadow: "root:*::\nsudo:*::\naudio:*::pulse\n".into(),
            subuid: String::new(),
            subgid: "x:100000:65536\n".into(),
        }
    }

    const ADA: NewUser<'_> = NewUser {
        name: "ada",
        full_name: "Ada Lovelace",
        password_hash: "$6$s$h",
        shell: "/bin/bash",
        today: 20_400,
    };

    #[test]
    fn the_user_is_added_to_every_file() {
        let (with, id) = image().with_user(&ADA).unwrap();
        assert_eq!(id, 1001, "1000 is the number of a group");
        let line = "\nada:x:1001:1001:Ada Lovelace,,,:/home/ada:/bin/bash\n";
        assert!(with.passwd.starts_with(&image().passwd) && with.passwd.ends_with(line), "{}", with.passwd);
        assert_eq!(
            with.group,
            "root:x:0:\nshadow:x:42:\nsudo:x:27:ada\naudio:x:29:pulse,ada\nsudoers:x:1000:\nada:x:1001:\n"
        );
        assert_eq!(with.shadow, "root:*:20000:0:99999:7:::\nada:$6$s$h:20400:0:99999:7:::\n");
        assert_eq!(with.gshadow, "root:*::\nsudo:*::ada\naudio:*::pulse,ada\nada:!::\n");
        assert_eq!(with.subuid, "ada:100000:65536\n");
        assert_eq!(with.subgid, "x:100000:65536\nada:165536:65536\n");
        assert_eq!(image().shadow_group(), 42);
    }

    #[test]
    fn a_name_that_exists_is_refused() {
        assert!(image().with_user(&NewUser { name: "daemon", ..ADA }).is_err());
        assert!(image().with_user(&NewUser { name: "sudoers", ..ADA }).is_err());
    }
}
