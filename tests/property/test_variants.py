"""Whatever is installed and asked for, a plan keeps its promises or there is an error."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from birdcli.errors import ErrorCode, ModelError, UsageError
from birdcli.model_version import Evidence, InputSpec, InputType, ModelFormat, ModelVersion
from birdcli.models.engines import EngineName, Machine, engines_for
from birdcli.models.precision import Precision
from birdcli.models.variants import Variant, plan_variants
from tests.unit.test_manifest import a_version

PRECISIONS = st.sampled_from(["bfloat16", "float32", "reference", "uint8"])
VARIANTS = st.builds(Variant, engine=st.sampled_from(EngineName), precision=PRECISIONS)
HOSTS = st.sampled_from(["x86_64:avx512_bf16", "x86_64:avx2", "aarch64"])
VERSIONS = st.dictionaries(
    st.sampled_from(["openvino", "tensorflow", "ai-edge-litert", "numpy"]),
    st.sampled_from(["1", "2"]),
)
EVIDENCE = st.builds(
    Evidence,
    host=HOSTS,
    backend=VARIANTS.map(lambda variant: variant.backend),
    libraries=VERSIONS,
    deviation=st.just(0.0),
    at=st.just("2026"),
)


def plan_or_error(
    version: ModelVersion,
    machine: Machine,
    engine: EngineName | None,
    precision: Precision,
    preferred: Variant | None,
) -> tuple[Variant, ...] | ErrorCode:
    try:
        return plan_variants(
            version, machine, engine=engine, precision=precision, preferred=preferred
        )
    except (UsageError, ModelError) as err:
        return err.code


@given(
    model_format=st.sampled_from(ModelFormat),
    dtype=st.sampled_from(InputType),
    host=HOSTS,
    versions=VERSIONS,
    engine=st.none() | st.sampled_from(EngineName),
    precision=st.sampled_from(Precision),
    preferred=st.none() | VARIANTS,
    evidence=st.lists(EVIDENCE, max_size=3),
)
def test_a_plan_holds_only_what_was_asked_for_and_is_installed(
    model_format: ModelFormat,
    dtype: InputType,
    host: str,
    versions: dict[str, str],
    engine: EngineName | None,
    precision: Precision,
    preferred: Variant | None,
    evidence: list[Evidence],
) -> None:
    version = a_version(format=model_format, input=InputSpec(dtype=dtype), evidence=tuple(evidence))
    machine = Machine(host=host, versions=versions)
    plan = plan_or_error(version, machine, engine, precision, preferred)
    if isinstance(plan, ErrorCode):
        free = engine is None and precision is Precision.AUTO
        assert plan in {
            ErrorCode.MODEL_RUNTIME_MISSING if free else ErrorCode.USAGE_BAD_FLAG,
            ErrorCode.MODEL_RUNTIME_MISSING,
        }
        assert not (free and any(machine.has(it) for it in engines_for(model_format)))
        return
    assert plan
    assert len(set(plan)) == len(plan)
    assert all(machine.has(variant.engine) for variant in plan)
    assert all(variant.engine in engines_for(model_format) for variant in plan)
    if engine is not None:
        assert {variant.engine for variant in plan} == {engine}
    if precision is not Precision.AUTO:
        assert {variant.precision for variant in plan} == {precision.value}
    if preferred in plan:
        assert plan[0] == preferred
    if not (preferred is not None and preferred.reference):
        assert not any(variant.reference for variant in plan[:-1])
    if any(variant.precision == "bfloat16" for variant in plan):
        assert machine.bfloat16
