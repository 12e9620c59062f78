/** What the shop sells. Every service seeds its own database with the part that is its business. */
export interface CatalogueItem {
  readonly sku: string
  readonly name: string
  readonly category: string
  readonly description: string
  readonly priceCents: number
  readonly stock: number
}

export const CURRENCY = 'EUR'

function item(
  sku: string,
  name: string,
  category: string,
  priceCents: number,
  stock: number,
  description: string,
): CatalogueItem {
  return { sku, name, category, description, priceCents, stock }
}

export const CATALOGUE: readonly CatalogueItem[] = [
  item('mug-blue', 'Blue mug', 'kitchen', 1_290, 40, 'Stoneware, 350 ml, safe in the dishwasher.'),
  item('mug-tall', 'Tall mug', 'kitchen', 1_490, 25, 'Stoneware, 500 ml, with a wide handle.'),
  item('bowl-oak', 'Oak bowl', 'kitchen', 3_450, 12, 'Turned from one piece of oak, oiled.'),
  item('knife-bread', 'Bread knife', 'kitchen', 4_900, 9, 'Serrated blade of 23 cm, walnut handle.'),
  item('board-beech', 'Chopping board', 'kitchen', 2_790, 18, 'Beech, end grain, 35 by 25 cm.'),
  item('kettle-steel', 'Steel kettle', 'kitchen', 5_990, 7, 'Whistles; 1.7 litres, for every hob.'),
  item('lamp-desk', 'Desk lamp', 'home', 7_900, 6, 'Bends in three places; a warm light of 6 W.'),
  item('lamp-last', 'Paper lantern', 'home', 2_200, 1, 'Hand folded. There is one left.'),
  item('clock-wall', 'Wall clock', 'home', 3_990, 14, 'No second hand, no ticking.'),
  item('rug-wool', 'Wool rug', 'home', 18_900, 4, 'Hand-woven, 170 by 240 cm.'),
  item('vase-clay', 'Clay vase', 'home', 2_650, 16, 'Unglazed outside, glazed inside.'),
  item('pen-brass', 'Brass pen', 'desk', 3_200, 30, 'Takes the usual refills; darkens with use.'),
  item('note-dots', 'Dotted notebook', 'desk', 990, 120, 'A5, 160 pages, opens flat.'),
  item('note-plain', 'Plain notebook', 'desk', 990, 80, 'A5, 160 pages, for drawing.'),
  item('ruler-steel', 'Steel ruler', 'desk', 790, 60, '30 cm, engraved, cork underneath.'),
  item('bag-canvas', 'Canvas bag', 'travel', 2_490, 35, 'Carries 15 kg; long handles.'),
  item('bottle-steel', 'Steel bottle', 'travel', 2_190, 45, 'Keeps half a litre hot for a morning.'),
  item('map-stars', 'Star map', 'travel', 1_590, 22, 'Turns to show the sky of any night.'),
]
