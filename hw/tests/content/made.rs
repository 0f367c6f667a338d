//! Images by the programs that the formats come with. One that is missing makes the tests fail: tests/setup installs it.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;

/// A directory with images.
pub(crate) struct Made {
    directory: TempDir,
    pub(crate) images: Vec<PathBuf>,
}

/// Arguments that make images of one kind: `IMAGE` stands for the file, `TREE` for a directory with a file in it. Each
/// line is one image of so many MiB, or one that the program makes itself.
struct Recipe {
    program: &'static str,
    mib: u64,
    lines: &'static [&'static str],
}

const RECIPES: &[Recipe] = &[
    Recipe {
        program: "mke2fs",
        mib: 16,
        lines: &[
            "-q -F -t ext2 -L label-ext2 IMAGE",
            "-q -F -t ext2 -b 4096 -O ^resize_inode,^dir_index IMAGE",
            "-q -F -t ext2 -r 0 IMAGE",
            "-q -F -t ext3 -L sixteen-letters. IMAGE",
            "-q -F -t ext4 -L label-ext4 IMAGE",
            "-q -F -t ext4 -O ^has_journal,64bit IMAGE",
            "-q -F -t ext4 -O ^metadata_csum,^64bit -b 1024 IMAGE",
            "-q -F -t ext4 -O metadata_csum_seed,inline_data,project,quota IMAGE",
            "-q -F -t ext4 -O bigalloc,verity,encrypt,casefold -b 2048 IMAGE",
            "-q -F -t ext4 -O meta_bg,^resize_inode,sparse_super2,flex_bg,mmp IMAGE",
            "-q -F -O journal_dev -b 4096 IMAGE",
        ],
    },
    Recipe {
        program: "mkfs.btrfs",
        mib: 128,
        lines: &[
            "-q -L label-btrfs IMAGE",
            "-q --mixed IMAGE",
            "-q --csum xxhash IMAGE",
            "-q --csum sha256 -L other IMAGE",
            "-q --csum blake2 IMAGE",
        ],
    },
    Recipe {
        program: "mkfs.xfs",
        mib: 320,
        lines: &[
            "-q -L label-xfs IMAGE",
            "-q -s size=4096 IMAGE",
            "-q -b size=1024 -i size=512 IMAGE",
            "-q -m reflink=0,bigtime=0,inobtcount=0 -L twelvechars. IMAGE",
        ],
    },
    Recipe {
        program: "mkfs.fat",
        mib: 64,
        lines: &[
            "-F 32 -n LABEL32 IMAGE",
            "-F 32 -s 1 IMAGE",
            "-F 32 -S 4096 -s 1 -n SECTOR4096 -i 00c0ffee IMAGE",
            "-F 16 -n LABEL16 IMAGE",
            "-F 16 -S 2048 IMAGE",
        ],
    },
    Recipe { program: "mkfs.fat", mib: 4, lines: &["-F 12 -n LABEL12 IMAGE", "-F 12 -r 512 -f 1 IMAGE"] },
    Recipe {
        program: "mkfs.exfat",
        mib: 64,
        lines: &[
            "-L label-exfat IMAGE",
            "-c 64K IMAGE",
            "-L \u{e4}\u{f6}\u{fc}\u{df}\u{20ac}\u{1f600} -b 4M IMAGE",
        ],
    },
    Recipe {
        program: "xorriso",
        mib: 0,
        lines: &[
            "-as mkisofs -quiet -V LABEL_ISO -o IMAGE TREE",
            "-as mkisofs -quiet -V Label_joliet_that_is_long_indeed -J -o IMAGE TREE",
            "-as mkisofs -quiet -J -R -V \u{e4}\u{f6}\u{fc} -o IMAGE TREE",
        ],
    },
    Recipe {
        program: "mksquashfs",
        mib: 0,
        lines: &[
            "TREE IMAGE -quiet -no-progress -comp gzip",
            "TREE IMAGE -quiet -no-progress -comp xz -b 1M",
            "TREE IMAGE -quiet -no-progress -comp zstd",
            "TREE IMAGE -quiet -no-progress -comp lz4 -b 4K",
            "TREE IMAGE -quiet -no-progress -comp lzo",
        ],
    },
    Recipe {
        program: "mkfs.erofs",
        mib: 0,
        lines: &[
            "--quiet IMAGE TREE",
            "--quiet -zlz4hc IMAGE TREE",
            "--quiet -Enosbcrc -U 01020304-0506-0708-090a-0b0c0d0e0f10 IMAGE TREE",
        ],
    },
    Recipe {
        program: "cryptsetup",
        mib: 32,
        lines: &[
            "luksFormat -q --type luks1 --pbkdf-force-iterations 1000 --key-file TREE/key IMAGE",
            "luksFormat -q --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --label label-luks --key-file TREE/key IMAGE",
            "luksFormat -q --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --sector-size 4096 --subsystem sub --key-file TREE/key IMAGE",
        ],
    },
    Recipe {
        program: "mkswap",
        mib: 8,
        lines: &["-q -L label-swap IMAGE", "-q -p 8192 IMAGE", "-q -p 65536 -L sixteen-letters. IMAGE"],
    },
    Recipe {
        program: "mkntfs",
        mib: 16,
        lines: &[
            "-q -F -L label-ntfs -s 512 -p 0 -H 1 -S 1 IMAGE",
            "-q -F -c 65536 -s 4096 -p 0 -H 1 -S 1 IMAGE",
        ],
    },
];

impl Made {
    /// Makes all images.
    pub(crate) fn all() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let mut made = Self { directory, images: Vec::new() };
        let tree = made.directory.path().join("tree");
        fs::create_dir(&tree).expect("a directory");
        fs::write(tree.join("key"), "thirty-two bytes of a known key.").expect("a file");
        for recipe in RECIPES {
            for line in recipe.lines {
                made.make(recipe, line, &tree);
            }
        }
        made
    }

    fn make(&mut self, recipe: &Recipe, line: &str, tree: &Path) {
        let name = format!("{:02}-{}", self.images.len(), recipe.program);
        let image = self.directory.path().join(name);
        if recipe.mib > 0 {
            File::create(&image).and_then(|file| file.set_len(recipe.mib << 20)).expect("an image");
        }
        let text = |path: &Path| path.to_str().expect("plain").to_string();
        let arguments =
            line.split(' ').map(|word| word.replace("IMAGE", &text(&image)).replace("TREE", &text(tree)));
        // Debian keeps these programs out of a user's PATH.
        let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
        let mut command = Command::new("env");
        command.arg(format!("PATH={path}")).arg("LC_ALL=C.UTF-8").arg(recipe.program).args(arguments);
        let output = command.stdin(Stdio::null()).output().expect("env is everywhere");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{} {line}: {told}\nnext: tests/setup", recipe.program);
        self.images.push(image);
    }
}
