//! What is often asked of a child process, as Deferreds: its output, its exit code.
//!
//! All of the output is held in memory. To cancel one of them kills the process, and so does a timeout that cancels it.

use crate::{
    defer::{Deferred, Promise},
    error::{ProcessDone, ProcessTerminated},
    failure::{Failure, Result},
    process::Spawn,
    protocol::{Data, ProcessContext, ProcessProtocol, ProcessTransport},
    reactor::Reactor,
};
use std::{cell::RefCell, error::Error, fmt, rc::Rc};

/// Runs a process and gives what it has written to its standard output.
///
/// With `error_too`, what it has written to its error output is among it, in the order it came. Without, the first word on it is an error: it fails with
/// [`UnexpectedErrorOutput`] at once, and the pipes are closed. How the process has exited does not matter.
///
/// # Examples
/// ```
/// use twistor::{react, utils::get_process_output};
///
/// let code = react(|reactor| async move {
///     let output = get_process_output(&reactor, ("echo", ["hello"]), false).await?;
///     assert_eq!(output, b"hello\n");
///     Ok(())
/// });
/// assert_eq!(code, std::process::ExitCode::SUCCESS);
/// ```
#[doc(alias = "getProcessOutput")]
#[track_caller]
pub fn get_process_output(reactor: &Reactor, how: impl Into<Spawn>, error_too: bool) -> Deferred<Vec<u8>> {
    run(reactor, how.into(), |promise| Output { promise: Some(promise), output: Vec::new(), error_too })
}

/// Runs a process and gives the code it has exited with.
///
/// It fails with [`ProcessTerminated`] if the process was ended by a signal. What it writes is thrown away.
#[doc(alias = "getProcessValue")]
#[track_caller]
pub fn get_process_value(reactor: &Reactor, how: impl Into<Spawn>) -> Deferred<i32> {
    run(reactor, how.into(), |promise| Value { promise: Some(promise) })
}

/// Runs a process with `stdin` as its standard input, and gives all that it has written, and its exit code.
///
/// It fails with [`ProcessSignalled`], which has what came until then, if the process was ended by a signal.
///
/// # Examples
/// ```
/// use twistor::{react, utils::get_process_output_and_value};
///
/// let code = react(|reactor| async move {
///     let how = ("sh", ["-c", "cat; echo oh >&2; exit 3"]);
///     let got = get_process_output_and_value(&reactor, how, "hello").await?;
///     assert_eq!((&got.output[..], &got.errors[..], got.code), (&b"hello"[..], &b"oh\n"[..], 3));
///     Ok(())
/// });
/// assert_eq!(code, std::process::ExitCode::SUCCESS);
/// ```
#[doc(alias = "getProcessOutputAndValue")]
#[track_caller]
pub fn get_process_output_and_value(
    reactor: &Reactor,
    how: impl Into<Spawn>,
    stdin: impl Data + 'static,
) -> Deferred<ProcessOutput> {
    run(reactor, how.into(), |promise| Everything {
        promise: Some(promise),
        stdin: Some(stdin),
        output: Vec::new(),
        errors: Vec::new(),
    })
}

/// All that a process has written, and its exit code.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProcessOutput {
    /// What came by its standard output.
    pub output: Vec<u8>,
    /// What came by its error output.
    pub errors: Vec<u8>,
    /// What it has exited with.
    pub code: i32,
}

/// A process was ended by a signal.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProcessSignalled {
    /// What came by its standard output until then.
    pub output: Vec<u8>,
    /// What came by its error output until then.
    pub errors: Vec<u8>,
    /// The signal, if it is known.
    pub signal: Option<i32>,
}

impl Error for ProcessSignalled {}

impl fmt::Display for ProcessSignalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let terminated = ProcessTerminated { signal: self.signal, ..ProcessTerminated::default() };
        let ProcessSignalled { output, errors, .. } = self;
        write!(f, "{terminated}, after {} bytes of output and {} of errors", output.len(), errors.len())
    }
}

/// A process has written to its error output, which was not to be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnexpectedErrorOutput {
    /// What it has written first.
    pub text: Vec<u8>,
}

impl Error for UnexpectedErrorOutput {}

impl fmt::Display for UnexpectedErrorOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = String::from_utf8_lossy(&self.text);
        write!(f, "the process has written to its error output: {text:?}; expect it with error_too")
    }
}

/// Starts it, with a protocol that fires the promise.
#[track_caller]
fn run<T: 'static, P: ProcessProtocol>(
    reactor: &Reactor,
    how: Spawn,
    protocol: impl FnOnce(Promise<T>) -> P,
) -> Deferred<T> {
    let process: Rc<RefCell<Option<ProcessTransport>>> = Rc::default();
    let killed = process.clone();
    let (deferred, promise) = Deferred::cancellable(move |_promise| {
        if let Some(process) = killed.take() {
            let _ = process.signal_process("KILL"); // it may have exited, and others hold its pipes
            // Not only when all is sent: who has the other ends may never read.
            (0..3).filter_map(|descriptor| process.pipe(descriptor)).for_each(|pipe| pipe.abort_connection());
        }
    });
    match reactor.spawn_process(protocol(promise), how) {
        Ok(cx) => drop(process.replace(Some(cx.transport()))),
        // The promise went with the protocol.
        Err(failure) => return deferred.add_errback(move |_abandoned| Err(failure)),
    }
    deferred
}

/// Fires once.
fn fire<T: 'static>(promise: &mut Option<Promise<T>>, result: Result<T>) {
    if let Some(promise) = promise.take() {
        promise.fire(result);
    }
}

/// What it has exited with.
fn code(why: &Failure) -> Option<i32> {
    if why.check::<ProcessDone>() {
        return Some(0);
    }
    why.value::<ProcessTerminated>()?.exit_code
}

struct Output {
    promise: Option<Promise<Vec<u8>>>,
    output: Vec<u8>,
    error_too: bool,
}

impl ProcessProtocol for Output {
    fn out_received(&mut self, _cx: &ProcessContext<Self>, data: &[u8]) {
        self.output.extend_from_slice(data);
    }

    fn err_received(&mut self, cx: &ProcessContext<Self>, data: &[u8]) {
        if self.error_too {
            return self.output.extend_from_slice(data);
        }
        cx.lose_connection();
        fire(&mut self.promise, Err(UnexpectedErrorOutput { text: data.to_vec() }.into()));
    }

    fn process_ended(&mut self, _cx: &ProcessContext<Self>, why: Failure) {
        let ended = why.check::<ProcessDone>() || why.check::<ProcessTerminated>();
        let output = std::mem::take(&mut self.output);
        fire(&mut self.promise, if ended { Ok(output) } else { Err(why) });
    }
}

struct Value {
    promise: Option<Promise<i32>>,
}

impl ProcessProtocol for Value {
    fn process_ended(&mut self, _cx: &ProcessContext<Self>, why: Failure) {
        fire(&mut self.promise, code(&why).ok_or(why));
    }
}

struct Everything<D> {
    promise: Option<Promise<ProcessOutput>>,
    stdin: Option<D>,
    output: Vec<u8>,
    errors: Vec<u8>,
}

impl<D: Data + 'static> ProcessProtocol for Everything<D> {
    fn connection_made(&mut self, cx: &ProcessContext<Self>) {
        cx.set_write_limit(usize::MAX); // it is all here already
        if let Some(stdin) = self.stdin.take() {
            cx.write(stdin);
        }
        cx.close_stdin();
    }

    fn out_received(&mut self, _cx: &ProcessContext<Self>, data: &[u8]) {
        self.output.extend_from_slice(data);
    }

    fn err_received(&mut self, _cx: &ProcessContext<Self>, data: &[u8]) {
        self.errors.extend_from_slice(data);
    }

    fn process_ended(&mut self, _cx: &ProcessContext<Self>, why: Failure) {
        let (output, errors) = (std::mem::take(&mut self.output), std::mem::take(&mut self.errors));
        let result = match (code(&why), why.value::<ProcessTerminated>()) {
            (Some(code), _) => Ok(ProcessOutput { output, errors, code }),
            (None, Some(ended)) => Err(ProcessSignalled { output, errors, signal: ended.signal }.into()),
            (None, None) => Err(why.clone()),
        };
        fire(&mut self.promise, result);
    }
}
