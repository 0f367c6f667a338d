//! A boot sector of 85 bytes that talks on the first serial port.

/// What it prints, on the serial port and on the screen.
pub(crate) const GREETING: &str = "sector\r\n";

/// What switches the machine off.
pub(crate) const POWER_OFF: &str = "q";

/// Real-mode code, loaded at 0x7c00.
const CODE: [u8; 0x4b] = [
    0xea, 0x05, 0x7c, 0x00, 0x00, // ljmp 0:0x7c05; a CD starts it at 0x07c0:0
    0x31, 0xc0, // xor ax, ax
    0x8e, 0xd8, // mov ds, ax
    0xbe, 0x4b, 0x7c, // mov si, greeting
    0xac, // next: lodsb
    0x84, 0xc0, // test al, al
    0x74, 0x0c, // jz echo
    0xe8, 0x1e, 0x00, // call send
    0xb4, 0x0e, // mov ah, 0x0e; teletype output
    0xbb, 0x07, 0x00, // mov bx, 7
    0xcd, 0x10, // int 0x10
    0xeb, 0xef, // jmp next
    0xba, 0xfd, 0x03, // echo: mov dx, 0x3fd; line status
    0xec, // in al, dx
    0xa8, 0x01, // test al, 1; a byte is there
    0x74, 0xf8, // jz echo
    0xba, 0xf8, 0x03, // mov dx, 0x3f8
    0xec, // in al, dx
    0x3c, b'q', // cmp al, 'q'
    0x74, 0x16, // je off
    0xe8, 0x02, 0x00, // call send
    0xeb, 0xeb, // jmp echo
    0x88, 0xc4, // send: mov ah, al
    0xba, 0xfd, 0x03, // mov dx, 0x3fd
    0xec, // wait: in al, dx
    0xa8, 0x20, // test al, 0x20; the transmitter is free
    0x74, 0xfb, // jz wait
    0x88, 0xe0, // mov al, ah
    0xba, 0xf8, 0x03, // mov dx, 0x3f8
    0xee, // out dx, al
    0xc3, // ret
    0xba, 0x04, 0x06, // off: mov dx, 0x604; PM1a control of QEMU's machines
    0xb8, 0x00, 0x20, // mov ax, 0x2000; SLP_EN
    0xef, // out dx, ax
    0xf4, // hlt
];

/// The whole sector.
pub(crate) fn bytes() -> [u8; 512] {
    let mut sector = [0; 512];
    sector[..CODE.len()].copy_from_slice(&CODE);
    sector[CODE.len()..CODE.len() + GREETING.len()].copy_from_slice(GREETING.as_bytes());
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    sector
}
