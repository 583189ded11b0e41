"""From files to log-mel: levels, times, errors."""

import dataclasses
import io

import librosa
import numpy as np
import pytest
import soundfile

from cvae_music.audio import analysis, beats, files
from cvae_music.config import AudioConfig

CONFIG = AudioConfig()


def sine(frequency, seconds=1.0, amplitude=1.0, rate=22050):
    return (
        amplitude
        * np.sin(2 * np.pi * frequency * np.arange(int(seconds * rate)) / rate)
    ).astype(np.float32)


@pytest.mark.parametrize("ending", ["wav", "mp3", "ogg", "flac"])
@pytest.mark.parametrize("rate", [8000, 44100, 96000])
def test_a_piece_of_any_file_is_read_at_the_right_place(tmp_path, ending, rate):
    if ending in ("mp3", "ogg") and rate == 96000:
        pytest.skip("the format has no such rate")
    path = tmp_path / f"tön é {rate}.{ending}"
    stereo = np.stack(
        [np.concatenate([sine(440, 1, 0.5, rate), sine(880, 1, 0.5, rate)])] * 2, axis=1
    )
    soundfile.write(path, stereo, rate)
    assert files.audio_duration(path) == pytest.approx((2.0, 2.0), abs=0.1)
    piece = files.load_audio(path, CONFIG, start=1.25, duration=0.5)
    assert piece.dtype == np.float32 and len(piece) == pytest.approx(11025, abs=2)
    spectrum = np.abs(np.fft.rfft(piece * np.hanning(len(piece))))
    assert np.argmax(spectrum) * 22050 / len(piece) == pytest.approx(880, abs=4)


def test_every_accepted_ending_is_read(tmp_path):
    formats = {".aif": "AIFF", ".aifc": "AIFF", ".oga": "OGG", ".opus": "OGG"}
    for ending in files.AUDIO_ENDINGS:
        kind, subtype = (
            formats.get(ending, ending[1:].upper()),
            "OPUS" if ending == ".opus" else None,
        )
        soundfile.write(
            tmp_path / f"tune{ending}",
            sine(440, 1.0, 0.5, 48000),
            48000,
            format=kind,
            subtype=subtype,
        )
        piece = files.load_audio(
            tmp_path / f"tune{ending}", CONFIG, start=0.25, duration=0.5
        )
        assert len(piece) == pytest.approx(11025, abs=2) and np.abs(
            piece
        ).max() == pytest.approx(0.5, abs=0.1), ending


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "missing"),
        (b"", "empty file"),
        (b"this is text, not sound " * 40, "unreadable"),
    ],
)
def test_files_that_are_no_audio(tmp_path, content, reason):
    path = tmp_path / "song.wav"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(files.AudioError) as error:
        files.load_audio(path, CONFIG)
    assert error.value.reason == reason and "song.wav" in str(error.value)


@pytest.mark.parametrize(
    ("content", "reason", "advice"),
    [
        (b"version https://git-lfs.github.com/spec/v1", "Git LFS pointer", "lfs pull"),
        (b"/annex/objects/MD5-s1--a.mp3", "git-annex pointer", "git annex get"),
        (b"\n<!DOCTYPE html><title>404</title>", "web page", "download it again"),
        (b"<?xml version='1.0'?><Error/>", "web page", "download it again"),
        (b'{"error": "quota"}', "web page", "download it again"),
        (b"PK\x03\x04rest of a zip", "archive", "Unpack"),
        (b"\0\0\0 ftypM4A rest", "MPEG-4 file", "Convert it"),
        (b"#EXTM3U\nsong.mp3", "playlist", "Copy the files"),
        (b"\xef\xbb\xbf#EXTM3U\nsong.mp3", "playlist", "Copy the files"),
        (b"\xef\xbb\xbfversion https://git-lfs.x", "Git LFS pointer", "lfs pull"),
        (b"PK\5\6" + bytes(18), "archive", "Unpack"),
        (b"\x28\xb5\x2f\xfd rest", "archive", "Unpack"),
        (b"book\0\0\0\0mark" + bytes(99), "link to a file", "Copy the file"),
        (b"L\0\0\0\1\x14\2\0" + bytes(99), "link to a file", "Copy the file"),
        (b"\0\5\x16\7\0\2\0\0Mac OS X", "link to a file", "Copy the file"),
        (b"SQLite format 3\0" + bytes(99), "picture or document", "Remove it"),
        (b"{\\rtf1 text}", "picture or document", "Remove it"),
        ("Fehler – nicht da".encode(), "unreadable", "It holds text, 'Fehler – n"),
        ("Schlüssel".encode("latin-1"), "unreadable", "It holds text, 'Schl"),
        ("Not found".encode("utf-16"), "unreadable", "It holds text, .*Not found"),
    ],
)
@pytest.mark.parametrize("ending", ["mp3", "wav"])
def test_what_is_no_sound_is_named(tmp_path, content, reason, advice, ending):
    path = tmp_path / f"song.{ending}"
    path.write_bytes(content)
    with pytest.raises(files.AudioError, match=advice) as error:
        files.load_audio(path, CONFIG)
    assert error.value.reason == reason


def test_only_the_head_of_a_counted_mp3_is_read_to_open_it(tmp_path, monkeypatch):
    """Once the whole file was read at each open: 9.7 MB for 4 s."""
    path = tmp_path / "long.mp3"
    path.write_bytes(files.encode_audio(sine(440, 20.0), CONFIG, "mp3"))
    monkeypatch.setattr(files.Path, "read_bytes", None)
    sizes = []

    class Counted:
        def __init__(self, file):
            self.file = file

        def read(self, size=-1):
            sizes.append(size)
            return self.file.read(size)

        def __getattr__(self, name):
            return getattr(self.file, name)

        def __enter__(self):
            return self

        def __exit__(self, *args):
            self.file.close()

    real_open = open
    monkeypatch.setattr(
        files, "open", lambda *args: Counted(real_open(*args)), raising=False
    )
    with files.open_sound(path) as sound:
        assert sound.frames >= 20 * CONFIG.sample_rate
    assert sizes and min(sizes) > 0 and sum(sizes) < 5000 < path.stat().st_size


def test_reading_past_the_end_and_nan(tmp_path):
    soundfile.write(tmp_path / "short.wav", sine(440, 0.5), 22050)
    with pytest.raises(files.AudioError, match="no audio"):
        files.load_audio(tmp_path / "short.wav", CONFIG, start=2.0)
    soundfile.write(
        tmp_path / "nan.wav", np.full(100, np.nan, np.float32), 22050, subtype="FLOAT"
    )
    with pytest.raises(files.AudioError, match="not finite"):
        files.load_audio(tmp_path / "nan.wav", CONFIG)


def test_channels_of_opposite_phase_do_not_cancel(tmp_path):
    wave = sine(440, 1.0, 0.5)
    soundfile.write(tmp_path / "wide.wav", np.stack([wave, -wave], axis=1), 22050)
    assert np.abs(
        files.load_audio(tmp_path / "wide.wav", CONFIG)
    ).max() == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("frequency", [50.0, 440.0, 1001.3, 5000.0, 9900.0])
def test_a_full_scale_sine_reads_zero_db_to_within_two(frequency):
    open_scale = dataclasses.replace(CONFIG, ceiling_db=20.0)
    level = analysis.log_mel(sine(frequency), [0.5], open_scale)[0]
    assert level.max() == pytest.approx(0.0, abs=1.7)


def test_levels_follow_amplitudes():
    middle = CONFIG.sample_rate / CONFIG.n_fft * 93  # a bin's own frequency
    level = analysis.log_mel(sine(middle), [0.5], CONFIG)[0]
    quiet = analysis.log_mel(sine(middle, amplitude=0.1), [0.5], CONFIG)[0]
    assert level.max() - quiet.max() == pytest.approx(20.0, abs=0.1)
    assert analysis.log_mel(np.zeros(5000), [0.1], CONFIG).max() == CONFIG.floor_db


def test_the_level_of_a_clip_does_not_depend_on_its_neighbours():
    soft = sine(440, 1.0, 0.01)
    alone = analysis.log_mel(soft, [0.3], CONFIG)
    beside = analysis.log_mel(
        np.concatenate([soft, sine(440, 1.0, 1.0)]), [0.3], CONFIG
    )
    np.testing.assert_array_equal(alone, beside)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"n_mels": 64, "n_fft": 1024, "fmin": 0.0},
        {"sample_rate": 16000, "fmax": 8000.0},
    ],
)
@pytest.mark.filterwarnings("ignore:Empty filters")
def test_mel_filters_are_those_of_librosa(changes):
    config = dataclasses.replace(AudioConfig(), **changes)
    found = analysis.mel_filters(config)
    expected = librosa.filters.mel(
        sr=config.sample_rate,
        n_fft=config.n_fft,
        n_mels=config.n_mels,
        fmin=config.fmin,
        fmax=config.fmax,
        htk=True,
        norm=None,
    )
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert found.dtype == np.float32 and found.max() > 0.5


def test_empty_mel_filters_are_told():
    """At n_fft=512 three bands hold no frequency; the default window fills all."""
    analysis.mel_filters(CONFIG)
    short = dataclasses.replace(CONFIG, n_fft=512, n_mels=127)
    with pytest.warns(UserWarning, match=r"Empty mel filters.*bands \[.*Raise n_fft"):
        found = analysis.mel_filters(short)
    assert not found.any(axis=1).all()


@pytest.mark.parametrize(
    "array",
    [
        analysis.mel_filters(CONFIG),
        analysis.mel_to_stft_weights(CONFIG),
        analysis.hann_window(CONFIG.n_fft),
    ],
)
def test_cached_arrays_cannot_be_changed(array):
    """One reader's `filters /= ...` would change the features of all others."""
    with pytest.raises(ValueError, match="read-only"):
        array /= 2.0


def test_wrap_reads_a_clip_as_a_loop():
    clip = sine(441, 1.0, 0.5)  # a whole number of periods
    ends = analysis.log_mel(clip, [0.0, 0.5, 1.0], CONFIG, wrap=True)
    np.testing.assert_allclose(ends[0], ends[1], atol=0.5)
    np.testing.assert_array_equal(ends[0], ends[2])


def test_beat_frames_follow_the_beats():
    times = np.concatenate([[0.0], np.cumsum([0.5] * 4 + [1.0] * 4)])
    frames = analysis.beat_frame_times(times, CONFIG)
    assert frames.shape == (128,) and frames[0] == 0.0
    np.testing.assert_allclose(frames[[16, 64, 80]], [0.5, 2.0, 3.0])
    with pytest.raises(ValueError, match="expected 9 increasing"):
        analysis.beat_frame_times([0, 1, 2], CONFIG)


@pytest.mark.parametrize("kind", ["wav", "mp3", "ogg", "flac"])
def test_written_files_can_be_read(tmp_path, kind):
    path = tmp_path / "made" / f"clip.{kind.upper()}"
    files.write_audio(path, sine(440, 1.0, 2.0), CONFIG)
    again = files.load_audio(path, CONFIG)
    assert 0.9 < np.abs(again).max() <= 1.05 and [
        file.name for file in path.parent.iterdir()
    ] == [path.name]
    quiet = files.encode_audio(sine(440, 1.0, 0.01), CONFIG, kind)
    assert np.abs(soundfile.read(io.BytesIO(quiet))[0]).max() == pytest.approx(
        0.01, abs=0.002
    )


def test_nothing_is_written_of_what_is_no_sound(tmp_path):
    with pytest.raises(
        ValueError, match="as 'txt'; expected one of wav, mp3, ogg, flac"
    ):
        files.write_audio(tmp_path / "clip.txt", np.zeros(10), CONFIG)
    for samples in (np.zeros((10, 2)), np.zeros(0), np.full(10, np.nan)):
        with pytest.raises(ValueError, match="expected finite mono samples"):
            files.write_audio(tmp_path / "clip.wav", samples, CONFIG)
    assert list(tmp_path.iterdir()) == []


def test_full_scale_turns_down_only_what_is_too_loud():
    loud, decibels = files.full_scale(np.array([0.5, -2.0]))
    assert loud.tolist() == [0.25, -1.0] and decibels == pytest.approx(6.02, abs=0.01)
    quiet, decibels = files.full_scale(np.array([0.5, -0.9]))
    assert quiet.tolist() == [0.5, -0.9] and decibels == 0.0
    assert files.full_scale(np.zeros(0))[1] == 0.0


def test_minutes_of_ogg_are_written():
    """libsndfile crashes where so much is handed over at once."""
    assert (
        len(
            files.encode_audio(
                np.random.default_rng(0).uniform(-1, 1, 22050 * 300), CONFIG, "ogg"
            )
        )
        > 1e6
    )


def test_beats_are_tracked_or_laid_on_a_grid():
    clicks = np.zeros(22050 * 12, np.float32)
    for start in range(0, len(clicks), 11025):
        clicks[start : start + 400] = sine(1000, 400 / 22050)
    found, tracked = beats.track_beats(clicks, CONFIG)
    assert tracked and np.median(np.diff(found)) == pytest.approx(0.5, abs=0.02)
    fixed, tracked = beats.track_beats(np.zeros(22050 * 12, np.float32), CONFIG)
    assert not tracked
    np.testing.assert_allclose(np.diff(fixed), 0.5)


def test_config_refuses_nonsense_and_names_differences():
    with pytest.raises(ValueError, match="fmin < fmax"):
        AudioConfig(fmax=20000.0)
    with pytest.raises(ValueError, match="whole number of beats"):
        AudioConfig(num_frames=100)
    with pytest.raises(ValueError, match="grid='bars'"):
        AudioConfig(grid="bars")
    with pytest.raises(ValueError, match="n_mels: 96 there, 128 here"):
        CONFIG.check_same(AudioConfig(n_mels=96), "A cache")
    with pytest.raises(ValueError, match="unknown fields"):
        AudioConfig.from_dict({"bands": 3})
    assert (
        AudioConfig.from_dict(CONFIG.get_config()) == CONFIG
        and CONFIG.key() != AudioConfig(n_mels=96).key()
    )
    with pytest.raises(ValueError, match="unscale got a mean level of -36.5, as of dB"):
        CONFIG.unscale([[-70.0, -3.0]])
    np.testing.assert_allclose(
        CONFIG.unscale(CONFIG.scale([-70.0, -35.0, 0.0])),
        [-70.0, -35.0, 0.0],
        atol=1e-5,
    )


def test_a_file_that_may_not_be_read_says_so(tmp_path, monkeypatch):
    def refuse(*args):
        raise PermissionError(13, "Permission denied")

    (tmp_path / "song.wav").write_bytes(b"RIFF")
    monkeypatch.setattr(files, "open", refuse, raising=False)
    with pytest.raises(files.AudioError, match="Permission denied. Allow it") as error:
        files.load_audio(tmp_path / "song.wav", CONFIG)
    assert error.value.reason == "unreadable"
