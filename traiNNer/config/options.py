"""The option tree: every key of an option file, its type, its default, and what it does.

The text below a field is its documentation: editors, `docs/options.md` and error messages show it. A `Choice` is a
component by name; the keys that are not listed here come from that component's own signature.

Every difference between a training state and the options that it is resumed with is reported; a field that cannot
change the trained weights is marked with its `Influence`.
"""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field

from traiNNer.config.automation_options import AutomationOptions
from traiNNer.config.choice import Choice
from traiNNer.registry import (
    ARCHS,
    DATASETS,
    DEGRADATIONS,
    LOSSES,
    METRICS,
    MODELS,
    OPTIMIZERS,
    SCHEDULES,
    Influence,
    StrictOptions,
)
from traiNNer.utils.durations import seconds_of

PositiveInt = Annotated[int, Field(gt=0)]
NonNegativeInt = Annotated[int, Field(ge=0)]
Texts = str | tuple[str, ...]
Mixing = Literal["none", "mixup", "cutmix", "resizemix", "cutblur"]
MIXING: tuple[Mixing, ...] = ("none", "mixup", "cutmix", "resizemix", "cutblur")
ENDLESS = 10**9
"""Iterations that no run reaches."""


def _duration(text: str) -> str:
    seconds_of(text)
    return text


Duration = Annotated[str, AfterValidator(_duration)]


class ArchChoice(Choice):
    """A network. It gets the top-level `scale` by itself; repeating it here is allowed when it is the same."""

    registry = ARCHS


class ModelChoice(Choice):
    """What a training step computes. `model: name` is short for `model: {type: name}`."""

    registry = MODELS
    has_short_form = True


class OptimizerChoice(Choice):
    """An optimizer by name, with its own arguments (`lr`, `weight_decay`, `betas`, …)."""

    registry = OPTIMIZERS


class ScheduleChoice(Choice):
    """A learning-rate schedule, a function of the iteration only."""

    registry = SCHEDULES


class LossChoice(Choice):
    """A loss, with its own options."""

    registry = LOSSES

    loss_weight: float = 1.0
    """Factor of this loss in the sum; applied once."""
    start_iter: NonNegativeInt = 0
    """Iterations that are trained before this loss joins."""
    stop_iter: PositiveInt | None = None
    """The last iteration that is trained with this loss; by default the last of the run."""


class MetricChoice(Choice):
    """A metric computed at every validation. `type` may be left out: the key is the name then."""

    registry = METRICS

    better: Literal["higher", "lower"] | None = None
    """Which direction is better; by default the metric's own."""


class DegradationChoice(Choice):
    """A degradation of a recipe, with its own options. `- blur` is short for `- {type: blur}`."""

    registry = DEGRADATIONS
    has_short_form = True

    prob: Annotated[float, Field(ge=0, le=1)] = 1.0
    """How often an image gets this step."""
    either: str | None = None
    """A name: of all steps with the same one an image gets at most one, each as often as its `prob` says."""
    target: bool = False
    """Change the ground truth, before anything is made of it; such steps come first."""


class DatasetChoice(Choice):
    """A dataset and how it is read. What only training needs has no effect in a validation set: a warning names it."""

    registry = DATASETS

    name: Annotated[str | None, Influence.SCORES] = None
    """Name shown in the log, and for validation sets in scores and folders; by default the key of the section."""
    batch_size_per_gpu: PositiveInt = 8
    """Images per micro-batch and device."""
    accum_iter: PositiveInt = 1
    """Micro-batches added up to one optimizer step (one iteration)."""
    num_worker_per_gpu: Annotated[NonNegativeInt | Literal["auto"], Influence.NEUTRAL] = "auto"
    """Processes that read images. 0 reads in the main process; `auto` begins with 2 and takes more where training
    waits for data and there are cores for them. The samples are the same for any number."""
    pin_memory: Annotated[bool, Influence.NEUTRAL] = True
    """Page-locked batches for faster copies; only matters on CUDA."""
    dataset_enlarge_ratio: PositiveInt = 1
    """How many times the set is counted per epoch; each copy gets its own random crops."""
    degradations: tuple[DegradationChoice, ...] = ()
    """What makes LQ of the ground truth (or spoils the LQ of pairs), in this order: see docs/degradations.md. An image
    of a validation set gets the same in every run."""
    shuffle_degradations: bool = False
    """Draw the order of the degradations for each image."""


class TrainSection(StrictOptions):
    """How the network is trained."""

    total_iter: Annotated[PositiveInt, Influence.LENGTH] = 100_000
    """Iterations (optimizer steps) until the run is finished. With `end_at` an upper bound, if it is given at all."""
    end_at: Duration | None = None
    """Let the clock end the run, e.g. `30m` or `8h`: the time that it trains, validates and saves, over all resumes."""
    decay_share: Annotated[float, Field(ge=0, lt=1)] = 0.3
    """Share of a run with `end_at` in which the learning rate falls along a line to zero; constant before."""
    warmup_iter: NonNegativeInt = 0
    """Iterations over which the learning rate rises linearly from zero."""
    optim_g: OptimizerChoice
    """The optimizer of the network."""
    optim_d: OptimizerChoice | None = None
    """The optimizer of `network_d`."""
    scheduler: ScheduleChoice | None = None
    """The learning-rate schedule; constant when left out."""
    scheduler_d: ScheduleChoice | None = None
    """The learning-rate schedule of `network_d`; constant when left out."""
    losses: Annotated[tuple[LossChoice, ...], Field(min_length=1)]
    """The losses, added up by `loss_weight`. May stand at the top level of the file instead."""
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0.999
    """Decay of the EMA of the weights, which validation, test and export use; 0 disables it."""
    ema_decay_d: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """The same for the weights of `network_d`; 0 keeps no average of them."""
    grad_clip: bool = False
    """Limit the global norm of the gradient to `grad_clip_max_norm`."""
    grad_clip_max_norm: Annotated[float, Field(gt=0)] = 1.0
    """Largest gradient norm when `grad_clip` is on."""
    use_moa: bool = False
    """Mix the images of a micro-batch with each other; each image draws one of `moa_augs`."""
    moa_augs: Annotated[tuple[Mixing, ...], Field(min_length=1)] = MIXING
    """What an image may draw: `none` leaves it as it is, `mixup` averages it with another, `cutmix` pastes a box of
    another, `resizemix` the whole of another, made smaller, and `cutblur` pastes its own ground truth, shrunk, into a
    box of LQ or around it."""
    moa_probs: tuple[Annotated[float, Field(ge=0, le=1)], ...] = (0.4, 0.084, 0.084, 0.084, 0.348)
    """How likely each of `moa_augs` is; they add up to 1."""
    max_nonfinite: PositiveInt = 10
    """Updates in a row that may be skipped for a NaN or infinite loss before the run stops with exit code 5."""
    suspects: Annotated[bool, Influence.NEUTRAL] = True
    """List training pairs that hurt at the end: shifted, not of one scene, or worse than bicubic. Needs LQ files."""
    training_automations: AutomationOptions | None = None
    """The automations that watch a run and adjust it."""

    @property
    def most_iter(self) -> int:
        """The iterations that the run never exceeds: `total_iter`, unless only the clock ends it."""
        return self.total_iter if self.end_at is None or "total_iter" in self.model_fields_set else ENDLESS


class ValSection(StrictOptions):
    """How the network is validated, or tested by test.py."""

    val_enabled: bool = True
    """Validate during training."""
    val_freq: PositiveInt = 1000
    """Iterations between validations; the last iteration is always validated."""
    save_img: Annotated[bool, Influence.NEUTRAL] = False
    """Write every output image."""
    metrics_enabled: bool = True
    """Compute the metrics (they need ground truth)."""
    metrics: dict[str, MetricChoice] = Field(default_factory=dict)
    """The metrics by name, e.g. `psnr: {crop_border: 2}`."""
    tile_size: NonNegativeInt = 0
    """Side of the tiles, in LQ pixels, that a large image is processed in; 0 takes images whole."""
    tile_overlap: NonNegativeInt = 32
    """Context read around each tile, in LQ pixels; exact when it covers the receptive field."""


class TrackerSection(StrictOptions):
    """A service that curves are sent to."""

    project: str | None = None
    """Name of the project there (MLflow: experiment); null sends nothing."""


class WandbSection(TrackerSection):
    """Weights & Biases; the package has to be installed: `pip install 'trainner-sr[wandb]'`."""

    resume_id: str | None = None
    """Id of the run there that is continued; null begins a new one."""


class LoggerSection(StrictOptions):
    """What is written down, and how often."""

    print_freq: PositiveInt = 100
    """Iterations between log lines (iterations 1, 2, 5 and 10 are always shown)."""
    save_checkpoint_freq: PositiveInt = 5000
    """Iterations between checkpoints; the last iteration is always saved."""
    save_checkpoint_format: Literal["safetensors", "pth"] = "safetensors"
    """File format of the weights."""
    keep_last: PositiveInt = 3
    """Training states kept; older ones are deleted, weights are not."""
    use_tb_logger: bool = True
    """Write TensorBoard curves and comparison strips."""
    wandb: WandbSection = Field(default_factory=WandbSection)
    """Curves for Weights & Biases, `{project: name}`; `resume_id` in it continues a run there."""
    mlflow: TrackerSection = Field(default_factory=TrackerSection)
    """Curves for MLflow, `{project: name of the experiment}`."""
    trackio: TrackerSection = Field(default_factory=TrackerSection)
    """Curves for Trackio, which keeps them on this machine, `{project: name}`."""
    report: bool = True
    """Write `report.html` at the end: one page with curves, decisions, images and options (`trainner report` writes it
    at any time)."""


class PathSection(StrictOptions):
    """Where files are. Relative paths are taken from the folder the command runs in."""

    experiments_root: str = "experiments"
    """Folder that holds one folder per run."""
    models: str | None = None
    """Folder of the weights; default `<experiments_root>/<name>/models`."""
    resume_models: str | None = None
    """Folder in which the weights of the resumed checkpoint are sought first, where they were moved away from the
    state; default `models`."""
    training_states: str | None = None
    """Folder of the training states; default `<experiments_root>/<name>/training_states`."""
    log: str | None = None
    """Folder of the text logs; default `<experiments_root>/<name>/log`."""
    visualization: str | None = None
    """Folder of validation images; default `<experiments_root>/<name>/visualization`."""
    pretrain_network_g: str | None = None
    """Weights to start from (train.py) or to test (test.py)."""
    strict_load_g: bool = False
    """Stop when a tensor of `pretrain_network_g` is missing, unknown, or of another shape; test.py always does."""
    param_key_g: str | None = None
    """Name of the entry that holds the weights in a .pth file; by default found by itself."""
    pretrain_network_d: str | None = None
    """Weights that `network_d` starts from (train.py)."""
    strict_load_d: bool = False
    """The same as `strict_load_g` for `pretrain_network_d`."""
    param_key_d: str | None = None
    """The same as `param_key_g` for `pretrain_network_d`."""
    resume_state: str | None = None
    """Training state (`…/training_states/5000.state`) to go on from."""


class CommonOptions(StrictOptions):
    """Keys that a training file and a test file share."""

    name: Annotated[str, Influence.NEUTRAL]
    """Name of the run and of its folder: letters, digits, space, `.`, `_`, `-`."""
    scale: Annotated[int, Field(ge=1, le=16)]
    """How many times larger the output is than the input."""
    # Device and number of ranks are compared by themselves: see `Runtime.environment`.
    num_gpu: Annotated[Annotated[int, Field(ge=0)] | Literal["auto"], Influence.NEUTRAL] = "auto"
    """Devices: `auto` takes what exists, 0 the CPU; above 1 the number of processes, which `--launcher auto` starts."""
    manual_seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Seed of the weights, the sample order and every crop."""
    deterministic: Annotated[bool, Influence.RUNTIME] = False
    """Ask the device for repeatable results (the CPU always gives them); slower on CUDA."""
    use_amp: Annotated[bool, Influence.RUNTIME] = False
    """Run the network in half precision: bf16 with `amp_bf16`, else fp16 (CUDA and MPS only)."""
    amp_bf16: Annotated[bool, Influence.RUNTIME] = False
    """Use bf16 instead of fp16 for `use_amp`."""
    use_channels_last: Annotated[bool, Influence.RUNTIME] = True
    """Memory format that is faster for convolutions, on the CPU too."""
    fast_matmul: Annotated[bool, Influence.RUNTIME] = False
    """Allow TF32 on CUDA: faster, slightly less exact."""
    use_compile: Annotated[bool | Literal["auto"], Influence.RUNTIME] = False
    """Compile the network: slow first steps, faster later ones. `auto`: in training, where one step can be compiled."""
    dist: Annotated[bool, Influence.NEUTRAL] = False
    """Insist on several processes, started by torchrun or `--launcher auto`; those that are there are used anyway."""
    # Their content is compared, not their place.
    plugins: Annotated[tuple[str, ...], Influence.NEUTRAL] = ()
    """Python files, relative to this option file, that register own components. They are run: trust them first."""
    network_g: ArchChoice
    """The network."""
    datasets: dict[str, DatasetChoice]
    """`train`, any number of `val…` (train.py) or `test…` (test.py)."""
    val: Annotated[ValSection, Influence.SCORES] = Field(default_factory=ValSection)
    # The weights to start from have done their part when a run is resumed.
    path: Annotated[PathSection, Influence.NEUTRAL] = Field(default_factory=PathSection)


class TrainOptions(CommonOptions):
    """An option file for train.py."""

    train: TrainSection
    """How the network is trained."""
    use_checkpointing: Annotated[bool, Influence.NEUTRAL] = False
    """Keep only what goes into each block and compute its features again in the backward pass: less memory, more time,
    the same weights."""
    model: ModelChoice | None = None
    """What a training step computes; when left out, `adversarial` (a GAN) in a file with `network_d`, else
    `restoration` (one network, its output compared with the ground truth)."""
    network_d: ArchChoice | None = None
    """A second network, e.g. a discriminator, trained by a model that asks for it."""
    logger: Annotated[LoggerSection, Influence.NEUTRAL] = Field(default_factory=LoggerSection)
    # Each is a run of these options with its own put over them: there they are compared.
    stages: Annotated[tuple[dict[str, Any], ...], Influence.NEUTRAL] = ()
    """Trainings one after the other. Each has a `name`, the options that differ from those of the file, and
    `start_from`: `best` or `last` weights of the one before. See docs/gan.md."""
    auto_resume: Annotated[bool, Influence.NEUTRAL] = False
    """Go on from the newest complete state when the run exists."""


class TestOptions(CommonOptions):
    """An option file for test.py."""

    __test__: ClassVar[bool] = False  # not a test case, whatever pytest thinks of the name
