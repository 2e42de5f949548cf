use twistor::defer::Deferred;

fn main() {
    let (length, _promise) = Deferred::<usize>::pending();
    let _text = length.add_callback(|text: String| Ok(text.len()));
}
