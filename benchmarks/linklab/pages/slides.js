// The slides of the lesson: pages of small Chinese text, the same wherever they are drawn.

const SLIDE = { width: 1280, height: 720, mark: { x: 16, y: 700, cell: 12 } }
/** Where the text is: what must be legible. */
const TEXT = { x: 64, y: 128, width: 1152, height: 540 }

const FONT = '"Noto Sans CJK SC", "WenQuanYi Zen Hei", sans-serif'
const LINE = 45
const SIZE = 24
const COLUMNS = 46
const HANZI =
  '的一是了我不人在他有这个上们来到时大地为子中你说生国年着就那和要她出也得里后自以会家可下而过天去能对小多然于心学么之都好看起发当没成只如事把还用第样道想作种开美总从无情己面最女但现前些所同日手又行意动方期它头经长儿回位分爱老因很给名法间斯知世什两次使身者被高已亲其进此话常与活正感见明问力理尔点文几定本公特做外孩相西果走将月十实向声车全信重三机工物气每并别真打太新比才便夫再书部水像眼等体却加电主界门利海受听表德少克代员许稜先口由死安写性马光白或住难望教命花结乐色更拉东神记处让母父应直字场平报友关放至张认接告入笑内英军候民岁往何度山觉路带万男边风解叫任金快原吃妈变通师立象数四失满战远格士音轻目条呢'

/** A generator of its own for each page (mulberry32). */
function pageRandom(seed) {
  let state = (seed * 2654435761) >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

function drawSlide(context, page) {
  const random = pageRandom(page + 1)
  context.fillStyle = '#fdfdf8'
  context.fillRect(0, 0, SLIDE.width, SLIDE.height)
  context.textBaseline = 'top'
  context.fillStyle = '#17406d'
  context.font = `bold 44px ${FONT}`
  context.fillText(`第 ${page + 1} 页　${hanzi(random, 12)}`, TEXT.x, 48)
  context.fillRect(TEXT.x, 112, TEXT.width, 3)
  context.fillStyle = '#202124'
  context.font = `${SIZE}px ${FONT}`
  for (let y = TEXT.y; y + LINE <= TEXT.y + TEXT.height; y += LINE) {
    const columns = COLUMNS - Math.floor(random() * random() * COLUMNS)
    context.fillText(hanzi(random, columns), TEXT.x, y + (LINE - SIZE) / 2)
  }
  const { x, y, cell } = SLIDE.mark
  drawMark(context, x, y, cell, page)
}

function hanzi(random, count) {
  let text = ''
  for (let i = 0; i < count; i++)
    text += random() < 0.08 ? '，' : HANZI[Math.floor(random() * HANZI.length)]
  return text
}
