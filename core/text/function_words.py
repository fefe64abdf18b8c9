"""Words that say nothing of what a text is about: articles, prepositions, pronouns, particles. English and Chinese."""

_ENGLISH = """
a an the and or but nor so if then than as of at by for from in into on onto to up with without within about above
below over under between among through during before after against since until out off down is are was were be been
being am do does did has have had having can could will would shall should may might must not no i me my mine we us our
you your he him his she her it its they them their this that these those there here who whom whose which what when where
why how all any some each every both few more most other such only own same too very just also s t d ll re ve m
"""
_CHINESE = """
的 了 是 在 我 你 您 他 她 它 们 我们 你们 他们 和 与 及 或 而 也 都 就 很 还 又 把 被 让 给 对 从 到 向 往 于 以 为 之
个 一个 一部 一种 一些 这 那 这个 那个 这些 那些 有 没有 不 吗 呢 吧 啊 着 过 地 得 关于 有关 想 想要 要 请 什么 怎么
推荐 找 帮 一下 有没有 哪些 类似 好 更 最 上 下 里 中 用 能 会 可以 来 去
"""
FUNCTION_WORDS = frozenset((_ENGLISH + _CHINESE).split())
