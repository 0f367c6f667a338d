//! Asking drivers, each in a process of its own.
//!
//! A driver's library may hang, end the program or write past its buffers. So the program starts itself again for every
//! question; what comes back within the time limit is an answer or a typed failure, whatever the driver did.

use std::{
    ffi::OsString,
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use super::{
    Gpu,
    answer::{Asked, Failure, Outcome, Source},
};
use crate::{
    sys::{drm, nvenc, nvml, vaapi},
    tree::Tree,
};

/// Begins the line of the answer; libraries print what they like around it.
const MARK: &str = "aegis-answer ";

/// Most bytes that are read from a process.
const OUTPUT_LIMIT: u64 = 1 << 20;

/// How long a process may take to end. One that hangs in the kernel never does, killed or not.
const PATIENCE: Duration = Duration::from_millis(500);

/// A question to one source about one device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Who is asked.
    pub source: Source,
    /// Address of the device on the PCI bus.
    pub address: String,
    /// The kernel's driver that is bound to it.
    pub driver: String,
    /// The device's render node, where it has one.
    pub node: Option<PathBuf>,
}

impl Question {
    /// Asks in this process, which the driver's code may end.
    fn ask(&self) -> Outcome {
        match self.source {
            Source::Nvml => nvml::ask(&self.address),
            Source::Nvenc => nvenc::ask(&self.address),
            Source::VaApi => vaapi::ask(&self.open()?),
            Source::Kernel => match self.driver.as_str() {
                "amdgpu" => drm::amdgpu(&self.open()?),
                "i915" => drm::i915(&self.open()?),
                "xe" => drm::xe(&self.open()?),
                other => Err(Failure::nonsense(format!("nothing is known of the driver {other}"))),
            },
        }
    }

    fn open(&self) -> Result<File, Failure> {
        let node = self.node.as_deref().ok_or(Failure::NoNode)?;
        // Render nodes answer these questions to whoever may write to them.
        let file = File::options().read(true).write(true).open(node);
        file.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Failure::NoNode,
            _ => Failure::Refused { call: "open".into(), code: error.raw_os_error().unwrap_or(0).into() },
        })
    }

    /// As arguments of the command line: source, address, driver and, where there is one, the node.
    pub fn to_arguments(&self) -> Vec<OsString> {
        let mut arguments: Vec<OsString> =
            vec![self.source.id().into(), self.address.clone().into(), self.driver.clone().into()];
        arguments.extend(self.node.clone().map(PathBuf::into_os_string));
        arguments
    }
}

/// The other end of [`Asker::ask`]: asks, and returns what is to be printed.
pub fn answer(question: &Question) -> String {
    format!("\n{MARK}{}\n", Asked::new(question.source, question.ask()).to_line())
}

/// Starts a process for each question.
#[derive(Clone, Debug)]
pub struct Asker {
    /// The program.
    pub program: PathBuf,
    /// Its first arguments; those of the question follow.
    pub arguments: Vec<OsString>,
    /// How long a driver may take.
    pub limit: Duration,
}

impl Asker {
    /// How long a driver may take: those of machines with eight cards need seconds when nothing keeps them awake.
    pub const LIMIT: Duration = Duration::from_secs(15);

    /// This program, with a command that calls [`answer`].
    pub fn this_program(command: &str) -> Self {
        Self { program: "/proc/self/exe".into(), arguments: vec![command.into()], limit: Self::LIMIT }
    }

    /// Asks, and waits for no longer than the limit.
    pub fn ask(&self, question: &Question) -> Asked {
        self.try_ask(question).unwrap_or_else(|failure| Asked::new(question.source, Err(failure)))
    }

    fn try_ask(&self, question: &Question) -> Result<Asked, Failure> {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).args(question.to_arguments());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        // It would hide devices from the driver's library.
        command.env_remove("CUDA_VISIBLE_DEVICES").env("LIBVA_MESSAGING_LEVEL", "0");
        let mut child = command.spawn().map_err(|error| Failure::NotStarted { reason: error.to_string() })?;
        let heard = listen(&mut child, question.source, self.limit);
        let status = stop(&mut child, heard.is_none());
        match heard {
            Some(Some(asked)) => Ok(asked),
            Some(None) => Err(Failure::Died { how: describe(status) }),
            None => Err(Failure::TimedOut { seconds: self.limit.as_secs() }),
        }
    }
}

/// Waits for the answer among what the process prints, not for its end: destructors of drivers hang and crash too. `Some(None)`
/// when it closes its output without an answer, `None` when that takes too long.
fn listen(child: &mut Child, source: Source, limit: Duration) -> Option<Option<Asked>> {
    let pipe = child.stdout.take()?;
    let (sender, receiver) = mpsc::channel();
    // Ends with the process, or stays when that hangs in the kernel; it holds nothing but the pipe.
    thread::spawn(move || {
        let lines = BufReader::new(pipe.take(OUTPUT_LIMIT)).split(b'\n').map_while(Result::ok);
        let answer =
            |line: Vec<u8>| Asked::from_line(str::from_utf8(&line).ok()?.strip_prefix(MARK)?, source);
        // Nobody listens any more when it took too long.
        let _ = sender.send({ lines }.find_map(answer));
    });
    receiver.recv_timeout(limit).ok()
}

/// Kills a process that takes too long; one that closed its output has a moment to end. `None` when it does not end at all.
fn stop(child: &mut Child, late: bool) -> Option<ExitStatus> {
    if !late && let Some(status) = wait(child) {
        return Some(status);
    }
    // It may have ended meanwhile.
    let _ = child.kill();
    wait(child)
}

fn wait(child: &mut Child) -> Option<ExitStatus> {
    let begun = Instant::now();
    loop {
        match child.try_wait() {
            Ok(None) if begun.elapsed() < PATIENCE => thread::sleep(Duration::from_millis(2)),
            Ok(status) => return status,
            Err(_) => return None,
        }
    }
}

fn describe(status: Option<ExitStatus>) -> String {
    status.map_or_else(|| "it cannot be ended".into(), |status| status.to_string())
}

/// Processes that ask at the same time.
const AT_ONCE: usize = 8;

/// Where a recording keeps what a driver said.
fn noted(gpu: &Gpu, source: Source) -> String {
    format!("/aegis/drivers/{}/{}", gpu.address, source.id())
}

/// Asks the drivers of the devices, or looks up what they said when the machine was recorded.
pub fn ask_drivers(gpus: &mut [Gpu], tree: &Tree, asker: &Asker) {
    let questions: Vec<(usize, Question)> = gpus
        .iter()
        .enumerate()
        .flat_map(|(index, gpu)| {
            let sources = Source::of_driver(gpu.driver.as_deref());
            sources.iter().map(move |source| (index, question(gpu, *source, tree)))
        })
        .collect();
    for (index, asked) in answers(gpus, &questions, tree, asker) {
        if let Some(gpu) = gpus.get_mut(index) {
            #[cfg(feature = "record")]
            tree.note(&noted(gpu, asked.source), asked.to_line().as_bytes());
            gpu.asked.push(asked);
        }
    }
    gpus.iter_mut().for_each(Gpu::judge);
}

fn question(gpu: &Gpu, source: Source, tree: &Tree) -> Question {
    Question {
        source,
        address: gpu.address.clone(),
        driver: gpu.driver.clone().unwrap_or_default(),
        node: gpu.node.as_ref().map(|node| tree.physical(&format!("/dev/dri/{node}"))),
    }
}

fn answers(gpus: &[Gpu], questions: &[(usize, Question)], tree: &Tree, asker: &Asker) -> Vec<(usize, Asked)> {
    if tree.is_recorded() {
        let look_up = |(index, question): &(usize, Question)| {
            let line = tree.text(&noted(gpus.get(*index)?, question.source))?;
            Some((*index, Asked::from_line(&line, question.source)?))
        };
        return questions.iter().filter_map(look_up).collect();
    }
    let mut all = Vec::new();
    for some in questions.chunks(AT_ONCE) {
        thread::scope(|scope| {
            let running: Vec<_> =
                some.iter().map(|(index, question)| (*index, scope.spawn(|| asker.ask(question)))).collect();
            all.extend(running.into_iter().filter_map(|(index, thread)| Some((index, thread.join().ok()?))));
        });
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::answer::Answer;

    fn asker(script: &str) -> Asker {
        let arguments = ["-c", script, "sh"].map(OsString::from).into();
        Asker { program: "/bin/sh".into(), arguments, limit: Duration::from_secs(60) }
    }

    fn question() -> Question {
        let address = "0000:01:00.0".into();
        Question { source: Source::Nvml, address, driver: "nvidia".into(), node: None }
    }

    #[test]
    fn questions_as_arguments() {
        let with_node = Question { node: Some("/dev/dri/renderD128".into()), ..question() };
        assert_eq!(question().to_arguments(), ["nvml", "0000:01:00.0", "nvidia"]);
        assert_eq!(with_node.to_arguments()[3], "/dev/dri/renderD128");
        for source in Source::ALL {
            assert_eq!(Source::parse(source.id()), Some(source));
        }
    }

    #[test]
    fn an_answer_is_found_among_what_libraries_print() {
        let answer = Answer { encoders: Some(3), ..Answer::default() };
        let asked = Asked::new(Source::Nvml, Ok(answer));
        let line = asked.to_line();
        let script =
            format!("echo 'libva info: hello'; printf 'no line end'; printf '\\n%s%s\\n' '{MARK}' '{line}'");
        assert_eq!(asker(&script).ask(&question()), asked);
        // The driver ends the program after the answer was printed.
        let script = format!("printf '\\n%s%s\\n' '{MARK}' '{line}'; kill -SEGV $$");
        assert_eq!(asker(&script).ask(&question()), asked);
        // It hangs after that.
        let script = format!("printf '\\n%s%s\\n' '{MARK}' '{line}'; exec sleep 1000");
        assert_eq!(asker(&script).ask(&question()), asked);
    }

    #[test]
    fn an_answer_of_somebody_else_is_none() {
        let other = Asked::new(Source::Nvenc, Ok(Answer::default())).to_line();
        let both = "{\"source\":\"nvml\"}";
        for line in [other.as_str(), both] {
            let script = format!("printf '\\n%s%s\\n' '{MARK}' '{line}'");
            assert!(matches!(asker(&script).try_ask(&question()), Err(Failure::Died { .. })), "{line}");
        }
    }

    #[cfg(feature = "record")]
    #[test]
    fn what_drivers_said_is_kept_in_a_recording() {
        use std::{fs, os::unix::fs::symlink};

        use crate::{
            gpu::{self, Evidence, Names},
            tree::{Recording, Roots},
        };

        let place = tempfile::tempdir().unwrap();
        let card = place.path().join("bus/pci/devices/0000:01:00.0");
        fs::create_dir_all(&card).unwrap();
        for (file, content) in [("class", "0x030000"), ("vendor", "0x10de"), ("device", "0x2684")] {
            fs::write(card.join(file), content).unwrap();
        }
        symlink("../../../../bus/pci/drivers/nvidia", card.join("driver")).unwrap();
        let tree = Tree::recorder(Roots { sysfs: place.path().into(), ..Roots::default() });
        let names = Names::default();
        let mut live = gpu::gpus(&tree, &names).unwrap();
        let codecs = r#"{"answer":{"codecs":[{"name":"h264","largest":[4096,4096]}]},"source":"nvenc"}"#;
        let failure = r#"{"failure":{"kind":"mismatch"},"source":"nvml"}"#;
        let script = format!("case $1 in nvenc) echo '{MARK}{codecs}';; nvml) echo '{MARK}{failure}';; esac");
        ask_drivers(&mut live, &tree, &asker(&script));
        assert_eq!(live[0].encoder.evidence, Evidence::Probe(Source::Nvenc));
        let text = tree.recording().to_text("a card");
        let replayed = Tree::recorded(Recording::parse(text.as_bytes()).unwrap());
        let mut again = gpu::gpus(&replayed, &names).unwrap();
        ask_drivers(&mut again, &replayed, &Asker { program: "/no/such/program".into(), ..asker("") });
        assert_eq!(again, live);
    }

    #[test]
    fn what_a_driver_does_to_its_process_is_a_failure() {
        let died = asker("kill -SEGV $$").try_ask(&question()).unwrap_err();
        assert!(matches!(&died, Failure::Died { how } if how.contains("SIGSEGV")), "{died:?}");
        let silent = asker("exit 3").try_ask(&question()).unwrap_err();
        assert!(matches!(&silent, Failure::Died { how } if how.contains('3')), "{silent:?}");
        let torn = asker(&format!("printf '{MARK}{{\"answer\":'")).try_ask(&question()).unwrap_err();
        assert!(matches!(torn, Failure::Died { .. }), "{torn:?}");
        let hung = Asker { limit: Duration::from_millis(50), ..asker("exec sleep 1000") };
        assert!(matches!(hung.try_ask(&question()), Err(Failure::TimedOut { .. })));
        let absent = Asker { program: "/no/such/program".into(), ..asker("") };
        assert!(matches!(absent.try_ask(&question()), Err(Failure::NotStarted { .. })));
    }
}
