"""Pictures and PNG files for the tests of `visualize_pd.core.images`."""

import struct
import zlib

from PIL import Image


def one_colour(mode, colour):
    """A picture of 12 × 10 pixels, all of the same colour."""
    return Image.new(mode, (12, 10), colour)


def png_file(width, height, depth, colour, data):
    """The bytes of a PNG file. The size in the header need not fit the data."""

    def chunk(kind, content):
        checksum = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", header),
            chunk(b"IDAT", zlib.compress(data)),
            chunk(b"IEND", b""),
        )
    )
