"""Components of traiNNer-redux, neosr and BasicSR by kind, and what a file that names one is answered.

A name counts only where nothing is registered under it, so a component that is added here needs no change.
"""

from collections.abc import Mapping

NO_DEGRADATION = (
    "LQ images are made by `degradations` in the section of a singlegtdataset or pairedimagedataset, or by "
)
NO_DEGRADATION += "realesrgandataset together with high_order_degradation: true"
NO_CLIPS = (
    "single images are read by this dataset: use pairedvideodataset or singlevideodataset for clips, or remove it"
)


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


DATASETS = {
    "realesrgandataset": NO_DEGRADATION,
    "realesrganpaireddataset": NO_DEGRADATION,
    "otfdataset": NO_DEGRADATION,
    "otf": NO_DEGRADATION,
    "videotestdataset": "use pairedvideodataset with one folder for each clip",
}
REMOVE_LOSS = "is a loss of other frameworks that traiNNer does not have: remove the item, or set its loss_weight to 0"
LOSSES = _names("""
adistsloss aesoploss averageloss avgloss bcewithlogitsdiceloss bicubicloss colorloss consistencyloss
contextualloss cosimloss distsloss edgeloss fdlloss ffloss fftloss fliploss ganloss gradientvarianceloss gvloss gwloss
hsluvloss huberloss ldlloss linedistillerloss lumaloss mslrloss mspswdloss msswdloss multiscaleganloss ncc nccloss
psnrloss sobeledgeloss topiqloss vggloss weightedtvloss
""")
METRICS = _names("""
ahiq brisque clipiqa cnniqa cwssim deepdc dists fid fsim ilniqe lpipsvgg maniqa msssim musiq nima niqe nlpd
nrqm pi pieapp stlpips topiq topiqnr vif vsi
""")
ARCHS = _names("""
artcnnr16f96 artcnnr3f24 artcnnr5f48 artcnnr8f24 artcnnr8f48 artcnnr8f64 asid atd atdlight autoencoder
cascadedgaze craft cugan dat dat2 datiln datlight dats dctl dctlsa dis disbalanced disfast ditn ditnreal docres
docresbase drct drctl drctxl drctsl dunet dwt dwts ea2fpn eimn eimna eimnl elan elanlight emt escreal escrealm
escrealmxl esrgan esrganlite fdat fdatlarge fdatlight fdatmedium fdattiny fdatxl flexnet gaterv3 gaterv3r gaterv3s
grlb grls grlt hatiln hatl hatm hats hitlmt hitsir hitsng hitsrf hma hmamedium lkfmixerb lkfmixerl lkfmixert lmlt
lmltbase lmltlarge lmlttiny man manlight mantiny metaflexnet metagan metagan2 metagan3 moesr moesr2 mosr mosrt mosrv2
msrswinir nafnet32 nafnet64 ninasr omnisr paragonsr paragonsrtiny paragonsr2photo paragonsr2anime patchgan
patchgandiscriminatorsn plksr plksrtiny rcan rcanl rcanunshuffle realcugan realplksr realplksrlarge realplksrtiny rgt
rgts rtmosr rtmosrl rtmosrul safmn safmnl scunet scunetaaf6aa sebica sebicamini seemore seemoret span spanf32 spanf64
spanf96 spanplus spanpluss spanplusst spanplussts spans srformer srformerlight srformerv2 swin2mose
swin2srl swin2srm swin2srs swinirl swinirm swinirs swinirsmall swinirmedium swinirlarge temporalspan temporalspanv2
tfdat tscunet unet unetdiscriminatorsn unetsegmentation vggstylediscriminator docresdiscriminator
""")
NO_METRIC = "is a metric that traiNNer does not have: remove it"
NO_ARCH = "is an architecture of other frameworks that traiNNer does not have"
COMPONENTS: Mapping[str, Mapping[str, str]] = {
    "dataset": DATASETS,
    "loss": dict.fromkeys(LOSSES, REMOVE_LOSS),
    "metric": dict.fromkeys(METRICS, NO_METRIC),
    "arch": {
        **dict.fromkeys(ARCHS, NO_ARCH),
        "rrdbnet": "is called esrgan here, with num_filters and num_blocks; `trainner convert` renames them",
        "srvggnetcompact": "is called compact here, without num_in_ch and act_type; `trainner convert` renames it",
    },
    "scheduler": {
        "multisteprestartlr": "is not part of traiNNer: write MultiStepLR",
    },
}
"""Components of other frameworks by kind and folded name. A name counts only where nothing is registered under it."""
