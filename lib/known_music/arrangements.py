"""Who plays what in each genre: chords, parts, and rhythms written as strings.

A rhythm is a string with one character for each step of a bar: a dot rests, a digit
plays once the density allows it. `1` always plays, `8` only in the densest clips, so a
denser clip is the same music with more notes. Straight genres have 16 steps in a bar,
swing has 12 (triplets).
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Part:
    """Describes one player of a genre.

    Args:
        role: Where the pitches come from: `"drum"` has none, `"tones"` walks over the
            chord one tone at a time, `"chord"` plays it whole, `"lead"` plays a melody.
        sound: Key of `drums.DRUMS` (role drum) or of `instruments.INSTRUMENTS`.
        rhythms: One string for each value of the factor `pattern`, or a single one for
            all.
        level_db: Loudness in the mix, relative to full velocity.
        octave: Octaves above the home of all parts, C4 in C. The register of the clip
            moves leads as well.
        gate: Length of a note in beats; 0 holds it until the part's next note.
        tones: For role tones: 0 root, 1 third, 2 fifth, 3 octave, spread evenly over a
            bar.
        echo_db: Level of an echo after three quarters of a beat; None for none.
    """

    role: str
    sound: str
    rhythms: tuple
    level_db: float
    octave: int = 0
    gate: float = 0.0
    tones: tuple = (0,)
    echo_db: float | None = None


@dataclasses.dataclass(frozen=True)
class Arrangement:
    """Describes one genre: its players, chords and sound.

    Args:
        parts: The players.
        progressions: One for each value of the factor `progression`: four scale degrees
            (0 is the tonic), two beats each.
        chord: The chord in scale steps above its root.
        steps_per_beat: 4 for straight sixteenths, 3 for swing.
        pump: How far the kick pushes everything else down, 0 to 1.
        room: Level of the room's echoes, 0 to 1.
        tilt: Correction in dB an octave, so that no genre is known by being dark or
            bright.
    """

    parts: tuple
    progressions: tuple
    chord: tuple = (0, 2, 4)
    steps_per_beat: int = 4
    pump: float = 0.0
    room: float = 0.0
    tilt: float = 0.0


HOUSE = Arrangement(
    parts=(
        Part("drum", "house_kick", ("1...1...1...1...",), 0.0),
        Part("drum", "clap", ("....1.......1...",), -2.0),
        Part("drum", "open_hat", ("..1...1...1...1.",), -3.0),
        Part(
            "drum",
            "closed_hat",
            (".3.5.3.5.4.6.4.6", ".2.7.2.7.2.7.2.7", "4..64..84..64..8"),
            -4.0,
        ),
        Part(
            "tones",
            "synth_bass",
            ("..1..61...1..41.", "..14..1...14..17", "..1..51...1..718"),
            -7.0,
            gate=0.3,
            octave=-2,
        ),
        Part(
            "chord",
            "stab",
            ("1..2..1...4.7...", "..1..5....1..3.6", "1.....3..4....6."),
            -13.0,
            gate=0.35,
            echo_db=-13.0,
        ),
        Part(
            "lead",
            "piano",
            ("1...5..3..7.4...", "..1..4....3.7..5", "1..6..3...4..8.."),
            -13.0,
            octave=1,
            gate=0.45,
        ),
    ),
    progressions=((0, 0, 3, 3), (0, 0, 5, 5), (5, 5, 3, 4), (0, 3, 5, 4)),
    chord=(0, 2, 4, 6),
    pump=0.65,
    tilt=-1.2,
)
ROCK = Arrangement(
    parts=(
        Part(
            "drum",
            "rock_kick",
            ("1.....6.1.......", "1.....1.1.4.....", "1..5....1.1...7."),
            1.0,
        ),
        Part(
            "drum",
            "snare",
            ("....1.......1...", "....1.......1..6", "....1..7....1..."),
            3.0,
        ),
        Part(
            "drum",
            "closed_hat",
            ("1.1.1.1.1.1.1.1.", "1.4.1.4.1.4.1.4.", "1.3.1.3.1.3.1.68"),
            -3.0,
        ),
        Part("drum", "crash", ("1..............." + 16 * ".",), -5.0),
        Part(
            "tones",
            "pick_bass",
            ("1.1.1.1.1.1.1.1.", "1..41.1.1..71.1.", "1.5.1.1.1.5.1.1."),
            -9.0,
            gate=0.42,
            octave=-2,
        ),
        Part(
            "tones",
            "power_guitar",
            ("1.3.1.5.1.3.1.7.", "1..1..1.1..1..4.", "1.5.2.1.1.6.2.1."),
            -10.0,
            octave=-1,
        ),
        Part(
            "lead",
            "lead_guitar",
            ("1...4.2.6...3.8.", "1..3..5.2.4.7...", "..1.4...3.7.5..."),
            -13.0,
            octave=1,
        ),
    ),
    progressions=((0, 0, 3, 4), (0, 4, 5, 3), (0, 3, 0, 4), (5, 3, 0, 4)),
    room=0.25,
    tilt=-0.4,
)
JAZZ = Arrangement(
    parts=(
        Part("drum", "ride", ("1..1.11..1.1", "1..1.31..1.3", "1..1..1..1.4"), 0.0),
        Part("drum", "closed_hat", ("...1.....1..",), 0.0),
        Part(
            "drum", "soft_kick", ("4...........", "..5...4.....", "........4..."), -6.0
        ),
        Part("drum", "brush", ("...3....63..", ".....5...3..", "..6..3......"), -5.0),
        Part(
            "tones",
            "upright_bass",
            ("1..1..1..1.5", "1..1..1..1..", "1..1.61..1.."),
            -4.0,
            tones=(0, 2, 0, 1),
            octave=-2,
        ),
        Part(
            "chord",
            "piano",
            ("1....1......", "..1.....1...", "1.......1..5"),
            -12.0,
            gate=0.6,
        ),
        Part(
            "lead",
            "muted_trumpet",
            ("1.52.31..7.3", "..13.42..6..", "1..4.21.63.8"),
            -11.0,
            octave=1,
        ),
    ),
    progressions=((1, 4, 0, 5), (0, 5, 1, 4), (0, 0, 1, 4), (0, 3, 1, 4)),
    chord=(2, 4, 6, 8),
    steps_per_beat=3,
    room=0.3,
    tilt=-1.0,
)
CHIPTUNE = Arrangement(
    parts=(
        Part(
            "drum",
            "bit_kick",
            ("1.......1.......", "1.....1...1.....", "1...1...1...1..."),
            3.0,
        ),
        Part("drum", "bit_snare", ("....1.......1...",), 1.0),
        Part(
            "drum",
            "bit_hat",
            ("..5...5...5...57", "7.4.7.4.7.4.7.4.", "..46..46..46..46"),
            -1.0,
        ),
        Part(
            "tones",
            "triangle_bass",
            ("1.3.1.3.1.3.1.3.", "1..1..4.1..1..4.", "1...1.6.1...1.6."),
            -6.0,
            tones=(0, 3, 0, 3, 0, 3, 0, 3),
            octave=-2,
        ),
        Part(
            "tones",
            "square_arpeggio",
            ("1213121512131215", "1312141613121416", "1.121.141.121.16"),
            -11.0,
            gate=0.22,
            tones=(0, 1, 2, 3) * 4,
        ),
        Part(
            "lead",
            "pulse_lead",
            ("1.5.3.7.1.6.3.8.", "1..4..2.1..6..7.", "1.4.6...1.5.3.8."),
            -9.0,
            octave=1,
        ),
    ),
    progressions=((0, 5, 3, 4), (0, 4, 5, 3), (5, 3, 4, 0), (0, 0, 3, 4)),
    tilt=0.3,
)
REGGAE = Arrangement(
    parts=(
        Part(
            "drum",
            "soft_kick",
            ("........1.......", "1.......1.......", "1...1...1...1..."),
            2.0,
        ),
        Part(
            "drum",
            "rim",
            ("........1.......", "........1.....6.", "....5...1......."),
            5.0,
        ),
        Part(
            "drum",
            "closed_hat",
            ("1.4.1.4.1.4.1.4.", "1.571.571.571.57", "3.1.3.1.3.1.3.16"),
            -2.0,
        ),
        Part(
            "tones",
            "dub_bass",
            ("1..4....1.2...6.", "..1.3.......1.57", "1.....1.4..6...."),
            -4.0,
            gate=0.6,
            tones=(0, 0, 0, 2, 0, 0, 1, 2),
            octave=-2,
        ),
        Part(
            "chord",
            "skank_guitar",
            ("....1.......1...", "..1...1...1...1.", "....1.6.....1.6."),
            -4.0,
            gate=0.2,
            echo_db=-10.0,
        ),
        Part(
            "chord",
            "organ",
            ("..4...4...7...7.", "....3..5....3..8", "..57..57..57..57"),
            -14.0,
            gate=0.18,
        ),
        Part(
            "lead",
            "organ",
            ("1..4......2.6...", "..1..7..3...5...", "1....3....6..5.."),
            -11.0,
            octave=1,
            gate=0.4,
            echo_db=-11.0,
        ),
    ),
    progressions=((0, 0, 3, 3), (0, 0, 4, 3), (0, 3, 0, 4), (0, 5, 3, 4)),
    room=0.1,
    tilt=0.3,
)
STRINGS = Arrangement(
    parts=(
        Part("chord", "violins", ("1.......1.......",), -12.0),
        Part(
            "tones",
            "cellos",
            ("1.......1.......", "1.....5.1.....5.", "1...4...1...4..."),
            -8.0,
            tones=(0, 2, 0, 2),
            octave=-2,
        ),
        Part(
            "lead",
            "violins",
            ("1...2.5.1...3.7.", "1.....3.1...4.6.", "1..51...1.6.3..."),
            -7.0,
            octave=1,
        ),
        Part(
            "tones",
            "harp",
            ("1.4.2.6.1.4.2.6.", "1.3.1.5.1.3.1.7.", "1.482.571.482.57"),
            -3.0,
            tones=(0, 1, 2, 3, 3, 2, 1, 0),
        ),
    ),
    progressions=((0, 3, 4, 0), (0, 5, 3, 4), (0, 4, 5, 2), (3, 0, 3, 4)),
    room=0.35,
    tilt=1.4,
)
ARRANGEMENTS = {
    "house": HOUSE,
    "rock": ROCK,
    "jazz": JAZZ,
    "chiptune": CHIPTUNE,
    "reggae": REGGAE,
    "strings": STRINGS,
}
