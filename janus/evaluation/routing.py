"""Which experts a model uses for words, for pictures it sees and for pictures it draws.

In: a model and work for it. It answers and draws as always; then each prompt runs once more
together with what came of it, as one complete row in which the kind of every token is known. Out:
a `Routing`. `shuffle_routers` spoils a model, to show what its routing is worth.
"""

# E routed experts of a layer

from collections import deque
from collections.abc import Callable

import torch
from torch import Tensor

from janus.engine.engine import Engine
from janus.engine.request import ImageRequest, Sequence, TextRequest
from janus.evaluation.routing_report import MODALITIES, Routing
from janus.evaluation.routing_work import Work
from janus.generation.review import count_experts, watched_experts
from janus.model.expert_load import ExpertLoad
from janus.model.model import JanusModel
from janus.pipeline import Janus

NUM_SLOTS = 16


def measure_routing(
    janus: Janus, work: Work, *, on_progress: Callable[[float], None] | None = None
) -> Routing:
    """Counts over requests, each answered and drawn as always; the same work, the same counts.

    Raises:
        UsageError: the model has no experts.
    """
    config = janus.model.config.transformer
    load = watched_experts(janus.model)
    engine = _engine_for(janus, work)
    tickets = [engine.submit(request) for request in work.requests]
    for i, ticket in enumerate(tickets):
        deque(engine.run(ticket), maxlen=0)
        for sequence in ticket.sequences:
            _replay(janus, sequence, load)
        if on_progress:
            on_progress((i + 1) / len(tickets))
    assert config.experts is not None
    return Routing(
        model=janus.name,
        work=work.summary,
        layers=tuple(i for i in range(config.num_hidden_layers) if not config.is_dense(i)),
        num_chosen=config.experts.num_experts_per_tok,
        counts={kind: _stack(load, kind) for kind in MODALITIES},
    )


@torch.no_grad()
def shuffle_routers(model: JanusModel, seed: int) -> None:
    """Exchanges the rows and biases of every router at random, in place.

    Every token then goes to experts that were meant for others, as many as before.

    Raises:
        UsageError: the model has no experts.
    """
    generator = torch.Generator().manual_seed(seed)
    for router in watched_experts(model).routers.values():
        order_E = torch.randperm(len(router.weight), generator=generator).to(router.weight.device)
        router.weight.copy_(router.weight[order_E])
        router.e_score_correction_bias.copy_(router.e_score_correction_bias[order_E])


def _engine_for(janus: Janus, work: Work) -> Engine:
    lengths = [len(request.prompt) + _output(janus, request) for request in work.requests]
    placeholder_id = janus.tokenizer.special.image
    return Engine(
        janus.model, num_slots=NUM_SLOTS, length=max(lengths), placeholder_id=placeholder_id
    )


def _output(janus: Janus, request: TextRequest | ImageRequest) -> int:
    if isinstance(request, TextRequest):
        return request.params.max_tokens
    return janus.model.config.num_image_tokens


def _replay(janus: Janus, sequence: Sequence, load: ExpertLoad) -> None:
    placeholder_id = janus.tokenizer.special.image
    for prompt in sequence.prompts:
        count_experts(load, janus.model, prompt, sequence.ids, placeholder_id, draws=sequence.draws)


def _stack(load: ExpertLoad, kind: str) -> Tensor:
    return torch.stack([load.counts[name][kind].cpu() for name in load.routers])
