//! Peer: tokio's current-thread runtime, one task and one 64 KiB buffer a connection.
#![forbid(unsafe_code)]

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use twistor_bench::{BUFFER, Mode, answer_lines, bind_udp, listen, server_args};

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let (mode, port) = server_args()?;
    if mode == Mode::Udp {
        return datagrams(UdpSocket::from_std(bind_udp(port)?)?).await;
    }
    let listener = TcpListener::from_std(listen(port)?)?;
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(async move {
            match mode {
                Mode::Line => lines(stream).await,
                _ => echo(stream).await,
            }
        });
    }
}

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let n = stream.read(&mut buffer).await?;
        if n == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..n]).await?;
    }
}

async fn lines(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    let mut answer = Vec::new();
    let mut kept = 0;
    loop {
        // A line that fills the buffer leaves no room, reads as the end, and is cut off here.
        let n = stream.read(&mut buffer[kept..]).await?;
        if n == 0 {
            return Ok(());
        }
        let filled = kept + n;
        let used = answer_lines(&buffer[..filled], &mut answer);
        stream.write_all(&answer).await?;
        answer.clear();
        buffer.copy_within(used..filled, 0);
        kept = filled - used;
    }
}

async fn datagrams(socket: UdpSocket) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let (n, from) = socket.recv_from(&mut buffer).await?;
        socket.send_to(&buffer[..n], from).await?;
    }
}
