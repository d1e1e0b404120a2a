import pytest
import torch

from janus.generation.params import DrawParams, TextParams
from janus.generation.sampling import Sampling, choose, gumbel_noise, keep_likeliest, philox

# Known answers of the authors' implementation (Random123, kat_vectors, philox4x32 10).
KNOWN_ANSWERS = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000",
     "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff",
     "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0",
     "d16cfe09 94fdcceb 5001e420 24126ea1"),
]  # fmt: skip


def words(text):
    return tuple(torch.tensor([int(word, 16)]) for word in text.split())


def sample(logits_K, params, seeds, step=0):
    """One choice for each seed, all from the same logits."""
    seeds = list(seeds)
    rows = torch.tensor(logits_K).expand(len(seeds), -1)
    sampling = Sampling.of([params] * len(seeds), seeds, [step] * len(seeds))
    return choose(rows, sampling)


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN_ANSWERS)
def test_philox_gives_the_published_answers(counter, key, answer):
    key0, key1 = words(key)
    assert philox(words(counter), (key0, key1)) == words(answer)


def test_noise_is_standard_gumbel():
    noise = gumbel_noise(torch.tensor([1, 2]), torch.tensor([0, 5]), 100_000)
    assert noise.isfinite().all()
    for row in noise.double():
        # The distribution function turns the noise into numbers spread evenly over 0 to 1.
        even = torch.exp(-torch.exp(-row)).sort().values
        ideal = (torch.arange(len(even)) + 0.5) / len(even)
        assert (even - ideal).abs().max() < 1.63 / len(even) ** 0.5  # Kolmogorov, 1 %


def test_noise_depends_on_seed_step_and_id_alone():
    seeds, steps = torch.tensor([7, 7, 8, 2**63 - 1]), torch.tensor([0, 1, 0, 575])
    together = gumbel_noise(seeds, steps, 10)
    for row in range(4):
        alone = gumbel_noise(seeds[row : row + 1], steps[row : row + 1], 13)
        assert torch.equal(together[row], alone[0, :10])
    assert len(set(together.flatten().tolist())) == together.numel()


def test_choices_have_the_probabilities_of_the_softmax():
    logits, draws = [2.0, 1.0, 0.0, -1.0, 1.5, 0.5, -2.0, -9.0], 20_000
    for temperature in (1.0, 0.7, 2.0):
        ids = sample(logits, DrawParams(temperature=temperature), range(draws))
        expected = (torch.tensor(logits) / temperature).softmax(0) * draws
        counts = torch.bincount(ids, minlength=8)
        chi_square = ((counts - expected) ** 2 / expected.clamp(min=1)).sum()
        assert chi_square < 24.3  # 7 degrees of freedom, 0.1 %


def test_steps_of_one_seed_are_as_random_as_seeds():
    draws = 20_000
    params = [DrawParams()] * draws
    ids = choose(torch.zeros(draws, 4), Sampling.of(params, [3] * draws, list(range(draws))))
    counts = torch.bincount(ids, minlength=4)
    assert ((counts - draws / 4) ** 2 / (draws / 4)).sum() < 16.3


@pytest.mark.parametrize(
    ("params", "allowed"),
    [
        (DrawParams(top_k=1), {0}),
        (DrawParams(top_k=3), {0, 1, 4}),
        (DrawParams(top_k=99), set(range(6))),
        (DrawParams(top_p=0.01), {0}),
        (DrawParams(top_p=0.8), {0, 1, 4}),  # 0.47 + 0.29 + 0.17
        (DrawParams(top_k=2, top_p=0.7), {0, 4}),  # 0.62 + 0.38
        (DrawParams(top_k=2, top_p=0.6), {0}),
        (TextParams(temperature=0.0, top_k=3, top_p=0.1), {0}),
    ],
)
def test_choices_stay_within_top_k_and_top_p(params, allowed):
    logits = [2.0, 1.0, -0.5, -1.0, 1.5, -2.0]
    assert set(sample(logits, params, range(2000)).tolist()) == allowed


def test_filters_keep_logits_and_agree_with_the_definition():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(50, 30, generator=generator)
    top_k = torch.randint(0, 31, (50,), generator=generator)
    top_p = torch.rand(50, generator=generator).clamp(min=0.05)
    temperature = torch.rand(50, generator=generator) + 0.2
    kept = keep_likeliest(logits, temperature, top_k, top_p)
    for row in range(50):
        likeliest = logits[row].argsort(descending=True)[: int(top_k[row]) or None]
        total, wanted = 0.0, set()
        for place, p in zip(
            likeliest.tolist(),
            (logits[row, likeliest] / temperature[row]).softmax(0).tolist(),
            strict=True,
        ):
            if total >= top_p[row]:
                break
            wanted.add(place)
            total += p
        inside = kept[row].isfinite()
        assert set(inside.nonzero().flatten().tolist()) == wanted
        assert torch.equal(kept[row][inside], logits[row][inside])


def test_a_row_does_not_depend_on_its_neighbours():
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(6, 50, generator=generator)
    params = [
        DrawParams(),
        DrawParams(temperature=0.0),
        DrawParams(top_k=5),
        TextParams(temperature=1.0, top_p=0.6),
        DrawParams(temperature=1.7, top_k=9, top_p=0.9),
        TextParams(),
    ]
    seeds, steps = [1, 2, 3, 4, 5, 6], [0, 9, 3, 3, 1, 0]
    together = choose(logits, Sampling.of(params, seeds, steps))
    for row in range(6):
        one = slice(row, row + 1)
        alone = choose(logits[one], Sampling.of(params[one], seeds[one], steps[one]))
        assert together[row] == alone[0]


def test_temperature_zero_and_almost_zero_take_the_largest():
    logits = torch.randn(20, 100, generator=torch.Generator().manual_seed(2))
    for temperature in (0.0, 1e-30):
        params = [DrawParams(temperature=temperature)] * 20
        assert torch.equal(
            choose(logits, Sampling.of(params, [0] * 20, [0] * 20)), logits.argmax(1)
        )
